/** Types of `progress-live-zh.js`, which `progress-live.js` loads by itself for readers of Chinese. */

import type { ProgressTexts } from "./progress-live.js";

/** The Chinese texts for a reader of this language tag: simplified, or traditional. */
export default function texts(lang: string): ProgressTexts;
