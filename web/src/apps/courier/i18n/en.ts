const en = {
  title: 'Parcelshelf courier',
};
export type Catalogue = typeof en;
export default en;
