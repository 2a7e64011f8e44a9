/**
 * A finished progress bar: native, accessible, in the reader's language, and never lost.
 *
 *   <script type="module" src="/client/progress-live.js"></script>
 *   <progress-live sid="…"></progress-live>
 */

export { ProgressLive } from "./live-element.js";
