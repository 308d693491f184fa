// What is wrong with a picture, as a list of sentences: it is asked of the browser where every text and every box is.
(() => {
  const problems = [], say = text => problems.push(text);
  const svg = document.querySelector("svg[role=img]"), whole = svg.getBoundingClientRect();
  const at = element => {
    const {left, top, right, bottom} = element.getBoundingClientRect();
    return {left, top, right, bottom, name: element.textContent.slice(0, 60) || element.parentNode.textContent.slice(0, 60)};
  };
  const inside = (a, b, slack) => a.left >= b.left - slack && a.right <= b.right + slack && a.top >= b.top - slack && a.bottom <= b.bottom + slack;
  const apart = (a, b) => a.right <= b.left + .5 || b.right <= a.left + .5 || a.bottom <= b.top + .5 || b.bottom <= a.top + .5;
  const allApart = (kind, boxes) => {
    boxes.sort((a, b) => a.top - b.top);
    boxes.forEach((a, i) => {
      for (let j = i + 1; j < boxes.length && boxes[j].top < a.bottom; j++)
        if (!apart(a, boxes[j])) say(`${kind} overlap: ${a.name} and ${boxes[j].name}`);
    });
  };

  const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim());
  const boxes = texts.map(at), cards = [...svg.querySelectorAll("rect.card")], cardBoxes = cards.map(at);
  const rows = [...svg.querySelectorAll("g.namespace > rect")];
  boxes.forEach(box => inside(box, whole, 0) || say(`a text is cut: ${box.name}`));
  // Letters reach a little beyond what one sees of them above and below: the boxes of two lines may touch.
  allApart("texts", boxes.map(box => ({...box, top: box.top + 2, bottom: box.bottom - 2})));
  allApart("cards", cardBoxes.slice());
  allApart("rows", rows.map(at));
  cardBoxes.forEach(box => inside(box, whole, -8) || say(`a card is cut: ${box.name}`));

  const contained = (selector, box) => svg.querySelectorAll(selector).forEach(group => {
    const frame = at(group.querySelector(box) || group.closest("g").querySelector(box));
    group.querySelectorAll("text").forEach(text => inside(at(text), frame, 0) || say(`a text leaves its ${box}: ${text.textContent}`));
  });
  contained("g:has(> rect.card)", "rect.card");
  contained("g.namespace", "rect");
  const panel = svg.querySelector("rect.panel");
  if (panel) svg.querySelectorAll("g.wrong text").forEach(text => inside(at(text), at(panel), 0) || say(`a text leaves the list: ${text.textContent}`));

  // A shortened text has its whole one as a title.
  for (const text of texts) {
    const shown = text.textContent, title = text.parentNode.querySelector(":scope > title");
    if (shown.includes("…") && !/^… \d+ more(, \d+ of them wrong)?$/.test(shown) && !(title && title.textContent.length > shown.length))
      say(`the whole of a shortened text is nowhere: ${shown}`);
  }

  // Edges touch only the cards that they join, and those only at the side; what they join is really there.
  const origin = {x: whole.left, y: whole.top};
  for (const edge of svg.querySelectorAll("path.edge, path.join")) {
    const name = edge.parentNode.querySelector("title").textContent.slice(0, 60), length = edge.getTotalLength();
    for (let done = 0; done <= length; done += 5) {
      const point = edge.getPointAtLength(done), x = point.x + origin.x, y = point.y + origin.y;
      if (!inside({left: x, right: x, top: y, bottom: y}, whole, 0)) say(`an edge leaves the picture: ${name}`);
      for (const card of cardBoxes)
        if (x > card.left + 9 && x < card.right - 9 && y > card.top && y < card.bottom) say(`an edge crosses the card ${card.name}: ${name}`);
    }
  }
  for (const tip of svg.querySelectorAll("path.tip")) {
    const box = at(tip);
    if (!cardBoxes.some(card => (Math.abs(card.left - box.right) < 1.5 || Math.abs(card.right - box.left) < 1.5) && box.top >= card.top && box.bottom <= card.bottom))
      say(`a tip points at no card: ${tip.parentNode.querySelector("title").textContent.slice(0, 60)}`);
  }
  return {problems: [...new Set(problems)].slice(0, 20), texts: texts.length, cards: cards.length, rows: rows.length,
    edges: svg.querySelectorAll("path.edge").length, joins: svg.querySelectorAll("path.join").length,
    width: Math.ceil(whole.width), height: Math.ceil(whole.height), page: {width: document.documentElement.scrollWidth, window: window.innerWidth}};
})()
