import type { Catalogue } from './en';

const de: Catalogue = {
  title: 'Parcelshelf ops',
};
export default de;
