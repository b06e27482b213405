const en = {
  title: 'Parcelshelf wallet',
};
export type Catalogue = typeof en;
export default en;
