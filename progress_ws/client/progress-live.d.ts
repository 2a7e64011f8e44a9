/** Types of `progress-live.js`: importing the module defines the element `<progress-live>`. */

import type { ErrorFrame, FollowedFrame, GapFrame, Json, ProgressClient, WelcomeFrame } from "./progress-ws.js";

/**
 * Where a bar stands. `waiting`: nothing has been heard of it. `stalled`: its publisher promised
 * news and went silent. `done`, `failed` and `cancelled` stay until a later run.
 */
export type ProgressLiveState =
  | "waiting"
  | "queued"
  | "running"
  | "stalled"
  | "done"
  | "failed"
  | "cancelled";

/** A progress update as it was sent. It is anybody's: only `kind` has been looked at. */
export interface ProgressUpdate {
  kind: "progress";
  state?: string;
  current?: number;
  total?: number;
  unit?: string;
  title?: string;
  phase?: string;
  text?: string;
  /** Per second. */
  rate?: number;
  eta_s?: number;
  elapsed_s?: number;
  error?: string;
  /** Key of the bar that this one is a part of. */
  parent?: string;
  attempt?: number;
  cancellable?: boolean;
  /** Fields of the publisher's own. */
  [name: string]: Json | undefined;
}

export interface StateChange {
  sid: string | undefined;
  key: string | undefined;
  state: ProgressLiveState;
  update: ProgressUpdate | undefined;
}

/** A template with `{names}` of its values, or a function of them. */
export type ProgressText<Values = Record<string, never>> = string | ((values: Values) => string);

/**
 * What is said, all of it replaceable. Numbers and times among the values are written already.
 * A text that is not there is English.
 */
export interface ProgressTexts {
  /** The language tag that numbers, times and their units are written for; default `en`. */
  lang?: string;
  /** The name of a bar that has none. */
  progress?: ProgressText;
  waiting?: ProgressText;
  queued?: ProgressText;
  /** Of a bar of which nothing else is known. */
  running?: ProgressText;
  done?: ProgressText;
  failed?: ProgressText;
  cancelled?: ProgressText;
  stalled?: ProgressText<{ time: string }>;
  count?: ProgressText<{ current: string; total: string }>;
  rate?: ProgressText<{ amount: string }>;
  left?: ProgressText<{ time: string }>;
  /** From the second attempt on; `n` is a number. */
  attempt?: ProgressText<{ n: number }>;
  /** Of more parts than are shown. */
  more?: ProgressText<{ n: string }>;
  cancel?: ProgressText;
  cancelling?: ProgressText;
  /** On the button, when nobody has heard the wish to cancel; a click asks again. */
  nobody?: ProgressText;
}

export interface ProgressLiveEventMap {
  /** It bubbles, out of shadow trees, too. */
  statechange: CustomEvent<StateChange>;
  /** Messages may be missing: a `gap`, or a reconnect with `recovered: false`. It bubbles. */
  gap: CustomEvent<GapFrame | FollowedFrame | WelcomeFrame>;
  /** What was asked for is refused; see `ErrorFrame`. It does not bubble. */
  error: CustomEvent<ErrorFrame>;
}

/**
 * The progress of one job: `<progress-live sid="…">`.
 *
 * Attributes, which may change at any time:
 * - `sid`: the session; absent, the element waits.
 * - `src`: a node's address; default as the client's. Elements of one `src` share a client.
 * - `key`, or `bar` where a framework keeps `key` for itself: only this bar. Absent: of those that
 *   are no part of another the one of the greatest run, and of these the one first heard of last.
 * - `label`: its name as long as the job says no title.
 * - `lang`: Chinese or English; default that of the page.
 * - `state`: set by the element, for style sheets and tests.
 *
 * A message that is no progress update is ignored.
 */
export class ProgressLive extends HTMLElement {
  /** Texts for all elements. */
  static texts?: ProgressTexts;
  /** Texts of this element alone, seen with its next painting. */
  texts?: ProgressTexts;
  /**
   * A client of the application's own, in place of `src`. Give it before `sid`, and before its sid
   * is followed: what the client has got before comes no second time. The element never closes or
   * unfollows it, and what comes while no element shows a session is known to one that does later;
   * beyond 256 sessions the oldest of these is forgotten.
   */
  client: ProgressClient | undefined;
  readonly state: ProgressLiveState;
  /** The newest update of the bar that is shown. */
  readonly update: ProgressUpdate | undefined;
  /** Ask whoever works at it to stop, as its button does. Returns whether the wish has left. */
  cancel(): boolean;

  addEventListener<Type extends keyof ProgressLiveEventMap>(
    type: Type,
    listener: (this: ProgressLive, event: ProgressLiveEventMap[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof ProgressLiveEventMap>(
    type: Type,
    listener: (this: ProgressLive, event: ProgressLiveEventMap[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "progress-live": ProgressLive;
  }
}
