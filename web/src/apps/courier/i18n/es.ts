import type { Catalogue } from './en';

const es: Catalogue = {
  title: 'Parcelshelf courier',
};
export default es;
