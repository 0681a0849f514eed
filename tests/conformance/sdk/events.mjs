// Keeps what went out on the streams of one session, so that a client can go on where its stream broke.

export function eventStore() {
  const events = [];
  return {
    async storeEvent(stream, message) {
      events.push({ stream, message });
      return `${stream}/${events.length - 1}`;
    },
    async replayEventsAfter(last, { send }) {
      const cut = last.lastIndexOf("/");
      const [stream, index] = [last.slice(0, cut), Number(last.slice(cut + 1))];
      for (const [at, event] of events.entries()) {
        const said = event.message && Object.keys(event.message).length > 0;
        if (at > index && event.stream === stream && said) await send(`${stream}/${at}`, event.message);
      }
      return stream;
    },
  };
}
