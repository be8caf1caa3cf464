import { type Html, html } from './html.ts'

/** A cup of tea, seen from above. */
export function cup(style: string): Html {
  return html`
    <svg class="cup ${style}" viewBox="0 0 120 100" aria-hidden="true">
      <ellipse class="shadow" cx="62" cy="56" rx="47" ry="42"/>
      <circle class="saucer" cx="58" cy="50" r="46"/>
      <circle class="saucer-ring" cx="58" cy="50" r="38"/>
      <path class="handle" d="M88 39 q24 -1 24 11 q0 12 -24 11 v-6 q17 1 17 -5 q0 -6 -17 -5z"/>
      <circle class="rim" cx="58" cy="50" r="32"/>
      <circle class="tea" cx="58" cy="50" r="27"/>
      <path class="shine" d="M38 44 a22 22 0 0 1 18 -15"/>
    </svg>`
}
