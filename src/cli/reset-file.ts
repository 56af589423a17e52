/** Left in the state folder by `postern admin reset`; honoured and removed by the next `postern serve`. */
export const ADMIN_RESET_FILE = 'admin-reset';
