/* Fully connected nets, plain and residual, that train in the page: those of
   resnet_study/models/fully_connected.py, with the optimiser of the digits recipe.
   One function holds it all, so that a worker can be made of its own text: a page opened from a file
   may not start one from another file. Matrices lie row by row in one array. */
"use strict";

function studyNets() {
  const CLASSES = 10;
  const EPSILON = 1e-5; // of batch normalisation, as torch has it
  const numbers = (count, value = 0) => new Float64Array(count).fill(value);

  /* C (m×n) = A (m×k) · B (k×n) */
  const multiply = (A, B, C, m, k, n) => {
    C.fill(0);
    for (let i = 0, row = 0; i < m; i++, row += n) {
      for (let p = 0, other = 0; p < k; p++, other += n) {
        const a = A[i * k + p];
        for (let j = 0; j < n; j++) C[row + j] += a * B[other + j];
      }
    }
  };
  /* C (k×n) = A (m×k) transposed · B (m×n) */
  const multiplyTransposed = (A, B, C, m, k, n) => {
    C.fill(0);
    for (let i = 0, other = 0; i < m; i++, other += n) {
      for (let p = 0, row = 0; p < k; p++, row += n) {
        const a = A[i * k + p];
        for (let j = 0; j < n; j++) C[row + j] += a * B[other + j];
      }
    }
  };
  /* C (m×k) = A (m×n) · B (k×n) transposed */
  const multiplyByTransposed = (A, B, C, m, n, k) => {
    for (let i = 0, row = 0; i < m; i++, row += n) {
      for (let p = 0, other = 0; p < k; p++, other += n) {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += A[row + j] * B[other + j];
        C[i * k + p] = sum;
      }
    }
  };
  const addToRows = (matrix, row) => {
    for (let start = 0; start < matrix.length; start += row.length) {
      for (let j = 0; j < row.length; j++) matrix[start + j] += row[j];
    }
  };
  const sumRows = (matrix, sum) => {
    sum.fill(0);
    for (let start = 0; start < matrix.length; start += sum.length) {
      for (let j = 0; j < sum.length; j++) sum[j] += matrix[start + j];
    }
  };
  const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

  /* Each with its slope, told by what it puts out. */
  const ACTIVATIONS = {
    relu: { of: (z) => (z > 0 ? z : 0), slope: (h) => (h > 0 ? 1 : 0) },
    tanh: { of: Math.tanh, slope: (h) => 1 - h * h },
    sigmoid: { of: (z) => 1 / (1 + Math.exp(-z)), slope: (h) => h * (1 - h) },
  };

  /* The same numbers between 0 and 1 for the same seed (mulberry32), in every browser. */
  const uniform = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = (random) =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const drawn = (random, inputs, units, variance) =>
    numbers(inputs * units).map(() => normal(random) * Math.sqrt(variance / inputs));

  /* Columns made orthogonal and as long as ``length``, one after another (Gram and Schmidt). */
  const orthogonal = (weight, inputs, units, length) => {
    const dot = (a, b) => {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += weight[i * units + a] * weight[i * units + b];
      return sum;
    };
    for (let j = 0; j < units; j++) {
      for (let earlier = 0; earlier < j; earlier++) {
        const share = dot(j, earlier) / length ** 2;
        for (let i = 0; i < inputs; i++) weight[i * units + j] -= share * weight[i * units + earlier];
      }
      const factor = length / Math.sqrt(dot(j, j));
      for (let i = 0; i < inputs; i++) weight[i * units + j] *= factor;
    }
    return weight;
  };

  /* Weights (inputs × units) of a layer at the start. A ReLU lets half of a signal through, so that
     orthogonal ones are longer by √2 with it, as He's are with every activation. */
  const STARTS = {
    he: (random, inputs, units) => drawn(random, inputs, units, 2),
    lecun: (random, inputs, units) => drawn(random, inputs, units, 1),
    orthogonal: (random, inputs, units, activation) =>
      orthogonal(drawn(random, inputs, units, 1), inputs, units, activation === "relu" ? Math.SQRT2 : 1),
    identity: (random, inputs, units) =>
      drawn(random, inputs, units, 2).map((value, place) =>
        inputs === units ? Number(place % (units + 1) === 0) : value
      ),
  };

  class Net {
    /* A stem, ``depth`` square layers and a classifier; ``shortcut`` adds to every second square
       layer what went into the one before. ``zeroGamma`` starts the last γ of each branch at 0. */
    constructor({ depth, width, inputs, batch, shortcut, normalised, activation, start, zeroGamma, seed }) {
      Object.assign(this, { depth, width, batch, shortcut, normalised });
      this.activation = ACTIVATIONS[activation];
      this.parameters = []; // in torch's order
      const random = uniform(seed);
      const parameter = (value) => {
        const size = value.length;
        this.parameters.push({ value, gradient: numbers(size), velocity: numbers(size) });
        return this.parameters.at(-1);
      };
      this.layers = [...Array(depth + 1).keys()].map((place) => {
        const fan = place ? width : inputs;
        const closes = shortcut && place > 0 && place % 2 === 0;
        return {
          inputs: fan,
          closes,
          weight: parameter(STARTS[start](random, fan, width, activation)),
          gamma: normalised && parameter(numbers(width, closes && zeroGamma ? 0 : 1)),
          shift: parameter(numbers(width)), // β of batch normalisation, or a bias without it
          scaled: numbers(batch * width), // what batch normalisation makes of W·x, before γ and β
          inverse: numbers(width), // of its standard deviation
          output: numbers(batch * width),
        };
      });
      this.classifier = {
        weight: parameter(drawn(random, width, CLASSES, 1)),
        bias: parameter(numbers(CLASSES)),
      };
      this.logits = numbers(batch * CLASSES);
    }

    /* Images (batch × inputs) to ``logits`` (batch × classes), with the statistics of the batch. */
    forward(images) {
      const { batch, width, activation, logits } = this;
      let input = images;
      this.layers.forEach((layer, place) => {
        const { output, shift } = layer;
        multiply(input, layer.weight.value, output, batch, layer.inputs, width);
        if (this.normalised) this.normalise(layer);
        const skipped = layer.closes ? this.layers[place - 2].output : null;
        addToRows(output, shift.value);
        if (skipped) for (let q = 0; q < output.length; q++) output[q] += skipped[q];
        for (let q = 0; q < output.length; q++) output[q] = activation.of(output[q]);
        input = output;
      });
      multiply(input, this.classifier.weight.value, logits, batch, width, CLASSES);
      addToRows(logits, this.classifier.bias.value);
    }

    normalise({ output, scaled, inverse, gamma }) {
      const { batch, width } = this;
      for (let j = 0; j < width; j++) {
        let mean = 0;
        let variance = 0;
        for (let q = j; q < output.length; q += width) mean += output[q] / batch;
        for (let q = j; q < output.length; q += width) variance += (output[q] - mean) ** 2 / batch;
        inverse[j] = 1 / Math.sqrt(variance + EPSILON);
        for (let q = j; q < output.length; q += width) {
          scaled[q] = (output[q] - mean) * inverse[j];
          output[q] = gamma.value[j] * scaled[q];
        }
      }
    }

    /* Mean cross-entropy in nats, and how many of ``labels`` are missed; turns ``logits`` into the
       gradient with respect to them. */
    loss(labels) {
      const { batch, logits } = this;
      let loss = 0;
      let missed = 0;
      for (let i = 0; i < batch; i++) {
        const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
        const highest = Math.max(...row);
        if (row.indexOf(highest) !== labels[i]) missed += 1;
        const sum = row.reduce((total, logit) => total + Math.exp(logit - highest), 0);
        loss -= (row[labels[i]] - highest - Math.log(sum)) / batch;
        for (let j = 0; j < CLASSES; j++) {
          row[j] = (Math.exp(row[j] - highest) / sum - Number(j === labels[i])) / batch;
        }
      }
      return { loss, missed };
    }

    /* Gradients of all parameters, after ``loss``. Returns the norm of the gradient with respect to
       what the stem and every second square layer put out: where a residual net has its blocks. */
    backward(images) {
      const { batch, width, layers, classifier, activation, logits } = this;
      const norms = [];
      multiplyTransposed(layers.at(-1).output, logits, classifier.weight.gradient, batch, width, CLASSES);
      sumRows(logits, classifier.bias.gradient);
      let gradient = numbers(batch * width);
      let skipping = null; // what reaches the start of a block by its shortcut
      multiplyByTransposed(logits, classifier.weight.value, gradient, batch, CLASSES, width);
      for (let place = layers.length - 1; place >= 0; place--) {
        const layer = layers[place];
        if (place % 2 === 0) {
          if (skipping) skipping.forEach((value, q) => (gradient[q] += value));
          norms.unshift(norm(gradient));
        }
        for (let q = 0; q < gradient.length; q++) gradient[q] *= activation.slope(layer.output[q]);
        if (place % 2 === 0) skipping = layer.closes ? gradient.slice() : null;
        sumRows(gradient, layer.shift.gradient);
        if (this.normalised) this.normaliseBackward(layer, gradient);
        const input = place ? layers[place - 1].output : images;
        multiplyTransposed(input, gradient, layer.weight.gradient, batch, layer.inputs, width);
        if (place) {
          const before = numbers(batch * width);
          multiplyByTransposed(gradient, layer.weight.value, before, batch, width, width);
          gradient = before;
        }
      }
      return norms;
    }

    normaliseBackward({ scaled, inverse, gamma, shift }, gradient) {
      const { batch, width } = this;
      for (let j = 0; j < width; j++) {
        let along = 0;
        for (let q = j; q < gradient.length; q += width) along += gradient[q] * scaled[q];
        gamma.gradient[j] = along;
        const factor = gamma.value[j] * inverse[j];
        const mean = shift.gradient[j] / batch;
        for (let q = j; q < gradient.length; q += width) {
          gradient[q] = factor * (gradient[q] - mean - (scaled[q] * along) / batch);
        }
      }
    }

    /* One step of stochastic gradient descent with momentum, as torch takes it. */
    step(rate, momentum, decay) {
      for (const { value, gradient, velocity } of this.parameters) {
        for (let q = 0; q < value.length; q++) {
          velocity[q] = momentum * velocity[q] + gradient[q] + decay * value[q];
          value[q] -= rate * velocity[q];
        }
      }
    }
  }

  /* Images (n × pixels), their pixels of mean 0 and deviation 1, and labels (n), from letters and
     digits: "a" is a pixel of value 0. */
  const unpack = ({ pixels, labels, mean, deviation }) => ({
    images: Float64Array.from(pixels, (letter) => (letter.charCodeAt(0) - 97 - mean) / deviation),
    labels: Uint8Array.from(labels),
  });

  /* Trains a net, and yields after each epoch its number, the training ``error`` in percent over the
     epoch, and the gradient by layer (see ``backward``) on the first images; epoch 0, without an
     error, is before the first step. A net that diverges ends with an error of null. */
  function* training(config, recipe, { images, labels }) {
    const { batch, epochs, drops, momentum, decay } = recipe;
    const inputs = images.length / labels.length;
    const net = new Net({ ...config, inputs, batch });
    const random = uniform(config.seed + 1e6);
    const order = [...labels.keys()];
    const gradients = (places) => {
      const chosen = numbers(batch * inputs);
      places.forEach((place, i) =>
        chosen.set(images.subarray(place * inputs, (place + 1) * inputs), i * inputs)
      );
      net.forward(chosen);
      const found = net.loss(places.map((place) => labels[place]));
      return { ...found, norms: net.backward(chosen) };
    };
    const first = order.slice(0, batch);
    yield { epoch: 0, norms: gradients(first).norms };
    const steps = Math.floor(labels.length / batch);
    for (let epoch = 1; epoch <= epochs; epoch++) {
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      let missed = 0;
      for (let step = 0; step < steps; step++) {
        const found = gradients(order.slice(step * batch, (step + 1) * batch));
        if (!Number.isFinite(found.loss)) return yield { epoch, error: null, norms: [] };
        const done = drops.filter((drop) => (epoch - 1) * steps + step >= drop * epochs * steps);
        net.step(config.rate * 0.1 ** done.length, momentum, decay);
        missed += found.missed;
      }
      const error = (100 * missed) / (steps * batch);
      yield { epoch, error, norms: gradients(first).norms };
    }
  }

  /* In a worker: trains a net, and posts what each epoch yields. */
  const serve = (worker) => {
    worker.onmessage = ({ data: { config, recipe, digits } }) => {
      for (const seen of training(config, recipe, unpack(digits))) worker.postMessage(seen);
    };
  };

  return { Net, training, unpack, serve };
}
