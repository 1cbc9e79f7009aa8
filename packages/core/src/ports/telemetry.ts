/** Receives counters for the host's metrics. It is not waited for; if it throws, that is ignored. */
export interface Telemetry {
  /**
   * Adds to a counter. Attribute values are from small closed sets (an outcome, a quota key): never an org id.
   * The metric names are listed in docs/telemetry.md of the project's repository.
   */
  count(metric: string, value: number, attributes?: Readonly<Record<string, string>>): void;
}
