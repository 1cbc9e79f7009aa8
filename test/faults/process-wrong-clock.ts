// Loaded before anything else, it puts this process' clock off by CLOCK_OFF_MS.
const offMs = Number(process.env.CLOCK_OFF_MS);

globalThis.Date = new Proxy(Date, {
  apply: (real) => new real(real.now() + offMs).toString(),
  construct: (real, args, target) =>
    Reflect.construct(real, args.length === 0 ? [real.now() + offMs] : args, target),
  get: (real, name, receiver) =>
    name === 'now' ? () => real.now() + offMs : Reflect.get(real, name, receiver),
});
