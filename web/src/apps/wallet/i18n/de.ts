import type { Catalogue } from './en';

const de: Catalogue = {
  title: 'Parcelshelf wallet',
};
export default de;
