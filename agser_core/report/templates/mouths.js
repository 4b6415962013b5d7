// Moves the mouths of the gesture atlas, and opens everything that is folded before printing.
(function () {
  "use strict";
  const source = document.getElementById("movements");
  const open = () => document.querySelectorAll("details").forEach((part) => { part.open = true; });
  window.addEventListener("beforeprint", open);
  if (!source) return;

  const PERIOD = 1600; // milliseconds of one movement
  const REST = 500; // milliseconds it rests at its end
  const movements = JSON.parse(source.textContent);
  const slider = document.getElementById("moment");
  const all = document.getElementById("play-all");
  const cards = Array.from(document.querySelectorAll(".card"), (card) => {
    const svg = card.querySelector("svg.mouth");
    const movement = movements[svg.dataset.gesture];
    return {
      frames: movement.frames.map(numbers), bands: movement.bands.map(numbers), shape: commands(movement.frames[0]),
      ring: commands(movement.bands[0]), lips: svg.querySelector(".lips"), band: svg.querySelector(".band"),
      bar: card.querySelector(".time span"), button: card.querySelector(".play"), playing: false, start: 0, moment: 0.5,
    };
  });

  function numbers(path) { return path.match(/-?[\d.]+/g).map(Number); }
  function commands(path) { return path.split(/-?[\d.]+/); }

  // Paths of one gesture differ in numbers only, so the moment between two frames is their weighted mean.
  function between(frames, pieces, moment) {
    const place = moment * (frames.length - 1);
    const left = Math.min(Math.floor(place), frames.length - 2);
    const weight = place - left;
    const before = frames[left], after = frames[left + 1];
    let path = pieces[0];
    for (let i = 0; i < before.length; i++) {
      path += (before[i] + weight * (after[i] - before[i])).toFixed(1) + pieces[i + 1];
    }
    return path;
  }

  function draw(card, moment) {
    card.moment = moment;
    card.lips.setAttribute("d", between(card.frames, card.shape, moment));
    card.band.setAttribute("d", between(card.bands, card.ring, moment));
    card.bar.style.width = (100 * moment).toFixed(1) + "%";
  }

  let running = false;
  function step(now) {
    let any = false;
    for (const card of cards) {
      if (!card.playing) continue;
      any = true;
      const elapsed = Math.max(now - card.start, 0); // a frame's time may lie before the click's
      draw(card, Math.min((elapsed % (PERIOD + REST)) / PERIOD, 1));
    }
    running = any;
    if (any) requestAnimationFrame(step);
  }

  function play(card, on, now) {
    card.playing = on;
    card.start = now - card.moment * PERIOD;
    card.button.textContent = on ? "❚❚" : "▶";
    card.button.setAttribute("aria-pressed", String(on));
    const every = cards.every((one) => one.playing);
    all.textContent = every ? "Pause all" : "Play all";
    all.setAttribute("aria-pressed", String(every));
    if (on && !running) { running = true; requestAnimationFrame(step); }
  }

  cards.forEach((card) => card.button.addEventListener("click", () => play(card, !card.playing, performance.now())));
  all.addEventListener("click", () => {
    const on = !cards.every((card) => card.playing);
    const now = performance.now();
    cards.forEach((card) => { if (on) card.moment = 0; play(card, on, now); });
  });
  slider.addEventListener("input", () => cards.forEach((card) => {
    play(card, false, performance.now());
    draw(card, Number(slider.value));
  }));

  // Readers who asked their system for less motion start with still mouths.
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) all.click();
})();
