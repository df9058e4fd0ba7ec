export interface Failure {
  readonly title: string;
  readonly error: string;
}
export function failureLines(failures: readonly Failure[]): string[];
