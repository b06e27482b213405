const en = {
  title: 'Parcelshelf ops',
};
export type Catalogue = typeof en;
export default en;
