/** Something a person gave us that cannot be used; the message is the one line they need. */
export class Faulty extends Error {
  override readonly name = "Faulty";
}
