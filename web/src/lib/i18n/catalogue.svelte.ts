import { locale, onLanguage, PSEUDO, type Language } from './locale.svelte';

/** Texts, and functions that make texts. */
export type Messages = { [key: string]: string | readonly string[] | ((...values: never[]) => string) | Messages };
export type Loaders<T> = Record<Language, () => Promise<{ default: T }>>;

/**
 * An app's catalogue. Make one per app, `await setLanguage(detect())` before mounting, then read `i18n.t.…` in markup:
 * it is reactive.
 */
export class I18n<T> {
  #loaders: Loaders<T>;
  #messages = $state.raw<T>();

  constructor(loaders: Loaders<T>) {
    this.#loaders = loaders;
    onLanguage((language) => this.load(language));
  }

  /** The messages if they are here. */
  get loaded(): T | undefined {
    return this.#messages;
  }
  get t(): T {
    if (this.#messages === undefined) throw new Error('no language is loaded yet');
    return this.#messages;
  }

  /** For catalogues that come with a page: loads the language that is spoken now, unless it is here. */
  async ready(): Promise<void> {
    if (this.#messages === undefined) await this.load(locale.chosen);
  }

  async load(language: Language | typeof PSEUDO): Promise<void> {
    if (language === PSEUDO) {
      const [{ default: english }, { pseudo }] = await Promise.all([this.#loaders.en(), import('./pseudo')]);
      this.#messages = pseudo(english);
      return;
    }
    this.#messages = (await this.#loaders[language]()).default;
  }
}
