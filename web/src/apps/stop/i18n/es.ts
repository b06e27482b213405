import type { Catalogue } from './en';

const es: Catalogue = {
  title: 'Parcelshelf stop',
};
export default es;
