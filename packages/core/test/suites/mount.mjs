// Preloaded into the processes of Fastify's or Express's own test suite (`node --import`, by run.mjs): mounts
// something in every app that they make. It patches the framework when that is loaded; no file is changed.
//
// BOUGH_SUITE   fastify or express
// BOUGH_MAIN    the file that exports the framework's function
// BOUGH_MOUNT   what is mounted; see `mounts`

import Module from "node:module";
import { spawn } from "bough";
import { expressBough } from "bough/express";
import { fastifyBough } from "bough/fastify";

/** Makes the request's scope and its signal, and a child that ends at once and one that the response ends. */
function use(scope) {
  scope.signal.addEventListener("abort", () => undefined);
  void spawn(scope, async () => undefined);
  void spawn(scope, (inner) => new Promise((_, reject) => inner.onCancel(reject)));
}

/** As every plugin that is not encapsulated. */
function open(plugin) {
  return Object.assign(plugin, { [Symbol.for("skip-override")]: true });
}

async function addIdleHooks(app) {
  app.addHook("onRequest", (_request, _reply, done) => done());
  app.addHook("onError", (_request, _reply, _error, done) => done());
  for (const name of ["onListen", "preClose", "onClose"]) app.addHook(name, async () => undefined);
}

/**
 * The integrations with which a suite can be run. Each is a function of the app for Fastify, and returns middleware for
 * Express.
 */
const mounts = {
  fastify: {
    none: undefined,
    nothing: (app) => app.register(open(async () => undefined)),
    bough: (app) => app.register(fastifyBough),
    // Hooks of the same kinds, of which some tests see the names and the number.
    hooks: (app) => app.register(open(addIdleHooks)),
    used: (app) => {
      app.register(fastifyBough, { grace: 100 }); // some tests never answer a request, and then close
      app.register(
        open(async (inner) => {
          inner.addHook("onRequest", (request, _reply, done) => {
            use(request.scope);
            done();
          });
        }),
      );
    },
  },
  express: {
    none: undefined,
    nothing: () => [(_request, _response, next) => next()],
    bough: () => [expressBough()],
    used: () => [
      expressBough(),
      (request, _response, next) => {
        use(request.scope);
        next();
      },
    ],
  },
};

const suite = process.env.BOUGH_SUITE;
const mount = mounts[suite]?.[process.env.BOUGH_MOUNT];
const wrap = { fastify: wrapFastify, express: wrapExpress }[suite];

function wrapFastify(fastify) {
  const wrapped = new Proxy(fastify, {
    apply(target, self, args) {
      const app = Reflect.apply(target, self, args);
      mount(app);
      return app;
    },
  });
  fastify.default = fastify.fastify = wrapped;
  return wrapped;
}

function wrapExpress(express) {
  return new Proxy(express, {
    apply(target, self, args) {
      const app = Reflect.apply(target, self, args);
      if (typeof app.lazyrouter === "function") mountInExpress4(app);
      else mountInExpress5(app);
      return app;
    },
  });
}

// `app.use` would make the router, and the settings that a test makes afterwards would come too late for it; so it is
// the router's first layer when the router is made.
function mountInExpress4(app) {
  const { lazyrouter } = app;
  app.lazyrouter = function () {
    const isNew = this._router === undefined;
    Reflect.apply(lazyrouter, this, []);
    if (isNew) this._router.use(...mount());
  };
}

function mountInExpress5(app) {
  const original = Object.getOwnPropertyDescriptor(app, "router");
  let router;
  Object.defineProperty(app, "router", {
    configurable: true,
    enumerable: true,
    get() {
      if (router === undefined) {
        router = original.get.call(this);
        router.use(...mount());
      }
      return router;
    },
  });
}

if (mount !== undefined) {
  const load = Module._extensions[".js"];
  Module._extensions[".js"] = function (module, filename) {
    load(module, filename);
    if (filename === process.env.BOUGH_MAIN) module.exports = wrap(module.exports);
  };
}
