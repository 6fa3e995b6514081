// The stock itself: plain data, its rules, and its text in the file. Nothing here reads or writes. Next: `store.js`.
export const EMPTY = { version: 1, revision: 0, items: [] };
const MOST_ITEMS = 10_000;
const MOST_OF_ONE = 1_000_000;

/** A change that the rules do not allow; `status` is that of the answer. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const isQuantity = (value) => Number.isInteger(value) && value >= 0 && value <= MOST_OF_ONE;
const isName = (value) => typeof value === "string" && value.length > 0 && value.length <= 80 && !/\p{Cc}/u.test(value);

/** Each returns the new items and the item that was changed. */
export const add = (given, quantity) => (items, id) => {
  const name = typeof given === "string" ? given.trim() : given;
  if (!isName(name)) throw new Refused(400, "cannot add the item: `name` has 1 to 80 characters");
  if (!isQuantity(quantity)) throw new Refused(400, `cannot add the item: \`quantity\` is a whole number from 0 to ${MOST_OF_ONE}`);
  if (items.some((item) => item.name.toLowerCase() === name.toLowerCase())) throw new Refused(409, `cannot add \`${name}\`: it is in stock already`);
  if (items.length >= MOST_ITEMS) throw new Refused(409, `cannot add \`${name}\`: there are ${MOST_ITEMS} items, which is the limit`);
  const item = { id: String(id), name, quantity };
  return { items: [...items, item], item };
};

export const count = (id, difference) => (items) => {
  const before = find(items, id);
  const quantity = before.quantity + difference;
  if (!Number.isInteger(difference)) throw new Refused(400, "cannot change the quantity: `add` is a whole number");
  if (!isQuantity(quantity)) throw new Refused(409, `cannot change \`${before.name}\` to ${quantity}: the limits are 0 and ${MOST_OF_ONE}`);
  const item = { ...before, quantity };
  return { items: items.map((each) => (each === before ? item : each)), item };
};

export const remove = (id) => (items) => {
  const item = find(items, id);
  return { items: items.filter((each) => each !== item), item };
};

function find(items, id) {
  const item = items.find((each) => each.id === id);
  if (!item) throw new Refused(404, `there is no item \`${id}\``);
  return item;
}

export const print = (stock) => `${JSON.stringify(stock, null, 1)}\n`;

/** Reads the text of a file, and checks all of it: a file that is cut off or edited wrongly is not served. */
export function parse(text, path) {
  let stock;
  try {
    stock = JSON.parse(text);
  } catch (error) {
    throw new Error(`\`${path}\` is damaged: ${error.message}`);
  }
  const isRight =
    stock?.version === 1 &&
    Number.isSafeInteger(stock.revision) &&
    Array.isArray(stock.items) &&
    stock.items.every((item) => typeof item?.id === "string" && isName(item.name) && isQuantity(item.quantity));
  if (!isRight) throw new Error(`\`${path}\` is damaged: it is not a stock of version 1`);
  return stock;
}
