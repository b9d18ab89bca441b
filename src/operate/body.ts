/**
 * Bodies that are read whole, with a bound.
 */

/** The text of a body; null where it is longer than `bytesMax`, and then the rest is not read. */
export async function textWithin(body: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<string | null> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  // Leaving the loop cancels what is left of the stream.
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
