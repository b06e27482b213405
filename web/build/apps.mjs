export const APPS = ['wallet', 'stop', 'courier', 'ops'];
