/** Types of `progress-ws.js`. Field names and their meaning are those of the WebSocket protocol. */

/** What carries the frames: in the order in which they are tried. */
export type ProgressTransport = "websocket" | "sse" | "polling";

/** `waiting`: for the next attempt to connect. `closed`: for good. */
export type ProgressState = "connecting" | "open" | "waiting" | "closed";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface StateDetail {
  state: ProgressState;
  /** Why the last connection ended, where its close said so. */
  code?: number;
  reason?: string;
  /** With `waiting`: seconds until the next attempt. */
  wait_s?: number;
}

export interface WelcomeFrame {
  type: "welcome";
  /** Absent when the client was made with `sid: ""`. */
  sid?: string;
  /** Absent over polling, where each answer may come from another node. */
  node?: string;
  protocol: number;
  ping_s: number;
  /** After a reconnect: `false` if messages may be missing. */
  recovered?: boolean;
}

export interface MessageFrame<Message = Json> {
  type: "message";
  sid: string;
  message: Message;
  /** `<publisher>-<seq>`. A message without one may come again after a reconnect. */
  id?: string;
  /** Unix seconds by the publisher's clock: for showing, never for deciding. */
  ts?: number;
  key?: string;
  run?: string;
  final?: boolean;
  /** The message comes from the server's history. */
  replay?: boolean;
}

export interface FollowedFrame {
  type: "followed";
  sid: string;
  recovered?: boolean;
}

export interface UnfollowedFrame {
  type: "unfollowed";
  sid: string;
}

/**
 * Messages may be missing before this point, and cannot be had any more; or a `for await` loop was
 * too slow for them.
 */
export interface GapFrame {
  type: "gap";
  sid: string;
}

/** The publisher of this key promised news and went silent. */
export interface StalledFrame {
  type: "stalled";
  sid: string;
  key: string;
  silent_s: number;
}

export interface ErrorFrame {
  type: "error";
  /**
   * A word: what was asked for is refused, and all else goes on; `cancel_failed` is the client's
   * own: over plain HTTP a cancel did not get through. A number: the close code, and the end.
   */
  code: string | number;
  detail: string;
  sid?: string;
  key?: string;
}

export interface ProgressEventMap<Message = Json> {
  state: CustomEvent<StateDetail>;
  welcome: CustomEvent<WelcomeFrame>;
  message: CustomEvent<MessageFrame<Message>>;
  followed: CustomEvent<FollowedFrame>;
  unfollowed: CustomEvent<UnfollowedFrame>;
  gap: CustomEvent<GapFrame>;
  stalled: CustomEvent<StalledFrame>;
  error: CustomEvent<ErrorFrame>;
}

/** What is needed of a WebSocket: the browser's own fits, and so do those of Node's packages. */
export interface ProgressSocket {
  onmessage: any; // (event: { data: unknown }) => void; libraries differ in what else an event has
  onclose: any; // (event: { code: number; reason: string }) => void
  onerror: any;
  send(data: string): void;
  close(): void;
}

export interface ProgressOptions {
  /**
   * The WebSocket endpoint of a node; `http` and `https` will do. What is needed without WebSocket is
   * found beside it: `../sse/progress` and `../api/v1/`.
   *
   * Default: of the node that the module was loaded from (`…/client/progress-ws.js`), else
   * `/websocket/progress` of this page's origin.
   */
  url?: string | URL;
  /**
   * A session to attach to, kept by the application. Absent: the one that storage remembers, else
   * a new one. Empty: none, only what `follow` asks for.
   */
  sid?: string;
  /**
   * Where a minted sid is kept, and which transport worked, if it was not the first. Default: `sessionStorage`. `null`: nowhere.
   */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  /** Default: `"progress-ws.sid"`. */
  storageKey?: string;
  /** Default: the global one. Node.js has one from version 22 on. */
  WebSocket?: new (url: string) => ProgressSocket;
  /** Numbers from 0 to below 1, for the jitter. */
  random?: () => number;
  /** Closes the client when it is aborted. */
  signal?: AbortSignal;
  /**
   * What may be used, in the order of preference. Default: all. The next one takes over where
   * one has twice not been welcomed while plain HTTP to the node worked; those before it are tried
   * again every few minutes.
   *
   * @throws TypeError for none, or for unknown ones.
   */
  transports?: readonly ProgressTransport[];
}

type Listener<Target, E> = ((this: Target, event: E) => void) | { handleEvent(event: E): void };

/**
 * One connection that comes back until it is closed. It connects when it is made.
 *
 * `for await (const frame of client)` gets the message frames from then on. It ends when the client
 * is closed, and throws when the server has refused it for good. For a loop that is slow the newest
 * frame of a sid and key takes the place of the older ones that wait; past 1,024 waiting frames the
 * oldest is dropped, and a `gap` event names its sid.
 */
export class ProgressClient<Message = Json> extends EventTarget {
  /** @throws TypeError for a malformed `sid` or `url`, or wrong `transports`. */
  constructor(options?: ProgressOptions);

  /**
   * The sid ("" if none is wanted), once the server has welcomed this client. Rejects if it is
   * closed before.
   */
  readonly ready: Promise<string>;
  /** The sid as far as it is known: given, remembered or minted. */
  readonly sid: string | undefined;
  readonly state: ProgressState;
  /** The one in use, or about to be tried. */
  readonly transport: ProgressTransport;

  /**
   * Also get the messages of this session, from the oldest that the server still has, now and after
   * each reconnect. Many at once are spread so that the server's limit of frames is kept.
   *
   * @throws TypeError for a malformed sid.
   */
  follow(sid: string): void;
  /** Stop that; also for the client's own sid. */
  unfollow(sid: string): void;
  /**
   * Ask whoever works at `key` to stop. What it does then comes as its next messages; an `error`
   * with the code `nobody_listens` comes within a second if there is nobody.
   *
   * @param sid Another session than the client's own.
   * @returns whether the wish has left. It does not wait for a connection: by then it may be stale.
   */
  cancel(key: string, sid?: string): boolean;
  /** End for good: no socket, timer or listener is left. */
  close(): void;

  [Symbol.asyncIterator](): AsyncGenerator<MessageFrame<Message>, void, void>;

  addEventListener<Type extends keyof ProgressEventMap<Message>>(
    type: Type,
    listener: Listener<this, ProgressEventMap<Message>[Type]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof ProgressEventMap<Message>>(
    type: Type,
    listener: Listener<this, ProgressEventMap<Message>[Type]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
