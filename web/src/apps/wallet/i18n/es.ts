import type { Catalogue } from './en';

const es: Catalogue = {
  title: 'Parcelshelf wallet',
};
export default es;
