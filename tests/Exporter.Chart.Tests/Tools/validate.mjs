// validate.mjs NODE_MODULES: reads a JSON array of Kubernetes objects, and writes one with the list of what is wrong with each, by the
// schemas of the API and of the Prometheus operator. Null: there is no schema of its kind.
import { existsSync, readFileSync } from "node:fs";

const modules = process.argv[2];
const packages = ["kubernetes-models", "@kubernetes-models/prometheus-operator"];

async function findValidator({ apiVersion, kind }) {
  const file = packages.map((name) => `${modules}/${name}/${apiVersion}/${kind}.js`).find(existsSync);
  return file && (await import(file))[kind].prototype.validate;
}

// The schemas do not refuse fields that they do not know: those are the ones that a validator never looks at, in an object of which it
// looks at others.
function watch(value, path, unread) {
  if (value === null || typeof value !== "object") {
    return value;
  }
  const read = new Set();
  const children = new Map();
  unread.push(() => (read.size > 0 && !Array.isArray(value) ? Object.keys(value).filter((key) => !read.has(key)).map((key) => `${path}/${key} is no field`) : []));
  return new Proxy(value, {
    get(target, key) {
      if (typeof key !== "string") {
        return target[key];
      }
      read.add(key);
      if (!children.has(key)) {
        children.set(key, Object.hasOwn(target, key) ? watch(target[key], `${path}/${key}`, unread) : target[key]);
      }
      return children.get(key);
    },
  });
}

async function check(object) {
  const validate = await findValidator(object);
  if (!validate) {
    return null;
  }
  const unread = [];
  try {
    validate.call(watch(object, "", unread));
  } catch (error) {
    return (error.errors ?? [error]).map((each) => `${each.instancePath ?? ""} ${each.message ?? each}`.trim());
  }
  return unread.flatMap((each) => each());
}

console.log(JSON.stringify(await Promise.all(JSON.parse(readFileSync(0)).map(check))));
