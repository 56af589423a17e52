/** What a detector finds in a text. */

/** `checked`: a check digit or checksum agrees. `format`: the shape is specific. `heuristic`: likely. */
export type Confidence = 'checked' | 'format' | 'heuristic';

/** One find; offsets in UTF-16 units, end exclusive. Never carries the value. */
export interface Detection {
  readonly start: number;
  readonly end: number;
  /** Small letters, digits and `_`: `email`, `github_token`, the name of a custom pattern. */
  readonly kind: string;
  readonly confidence: Confidence;
}

/** A pure function over a text: total, linear in its length, finds in order of their starts. */
export type Detector = (text: string) => readonly Detection[];
