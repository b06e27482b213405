import type { Catalogue } from './en';

const es: Catalogue = {
  title: 'Parcelshelf ops',
};
export default es;
