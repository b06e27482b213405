// Languages: one typed catalogue per app and language. English is the type; a message that German or Spanish lacks does
// not compile. Messages with values are functions, so that a translator can turn the sentence around.

export { I18n, type Loaders, type Messages } from './catalogue.svelte';
export { LANGUAGES, PSEUDO, detect, locale, setLanguage, type Language } from './locale.svelte';
export { pluralIn, type Forms } from './plural';
export { format } from './format';
export { common } from './common';
