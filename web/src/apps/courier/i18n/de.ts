import type { Catalogue } from './en';

const de: Catalogue = {
  title: 'Parcelshelf courier',
};
export default de;
