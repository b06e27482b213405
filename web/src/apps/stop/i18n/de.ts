import type { Catalogue } from './en';

const de: Catalogue = {
  title: 'Parcelshelf stop',
};
export default de;
