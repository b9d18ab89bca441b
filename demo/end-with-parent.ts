/**
 * Loaded into a child with `--import`: ends it when the process that started it is gone.
 *
 * A parent that is killed outright cannot end its children; but the channel between them closes, and that is heard.
 */
if (process.channel) {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref();
}
