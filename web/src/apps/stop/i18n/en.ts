const en = {
  title: 'Parcelshelf stop',
};
export type Catalogue = typeof en;
export default en;
