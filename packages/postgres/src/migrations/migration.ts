/** One step of the schema. Once released it is never edited; a change is a new step with the next number. */
export interface Migration {
  /** 1, 2, 3 ... without gaps. */
  readonly number: number;
  readonly name: string;
  /** Its statements. `s` is the schema's checked name; they run in one transaction. */
  readonly up: (s: string) => readonly string[];
}
