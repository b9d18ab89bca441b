/** As much of RFC 6455 as it takes to send a short text each way by hand. */
import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";

const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 0x81;
const MASKED = 0x80;
const LENGTH_MAX = 125;

/** Accepts a handshake and answers every text with itself and a mark, so that an echo elsewhere does not pass for it. */
export function echoTexts(key: string, socket: Duplex): void {
  const accept = createHash("sha1").update(`${key}${ACCEPT_GUID}`).digest("base64");
  const fields = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join("\r\n")}\r\n\r\n`);
  socket.on("error", () => {});
  socket.on("data", (frame: Buffer) => {
    if (frame[0] !== TEXT) socket.end();
    else socket.write(textFrame(`origin: ${textIn(frame)}`, null));
  });
}

/** A whole text in one frame; clients must mask theirs. */
export function textFrame(text: string, mask: Buffer | null): Buffer {
  const payload = Buffer.from(text);
  if (payload.byteLength > LENGTH_MAX) throw new RangeError(`text: expected at most ${LENGTH_MAX} bytes`);
  if (mask === null) return Buffer.concat([Buffer.from([TEXT, payload.byteLength]), payload]);
  return Buffer.concat([Buffer.from([TEXT, MASKED | payload.byteLength]), mask, unmasked(payload, mask)]);
}

/** The text of a frame that arrived whole. */
export function textIn(frame: Buffer): string {
  const second = frame[1] ?? 0;
  if ((second & MASKED) === 0) return frame.subarray(2).toString();
  return unmasked(frame.subarray(6), frame.subarray(2, 6)).toString();
}

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
}
