/* What a search shows first: the story, which says what a thing is, then its evidence, then the code. */
const ASKED = new URLSearchParams(location.search).get("q")?.trim().toLowerCase();
const STORY = /story_|book\/(try|objections_live|teaching)/;
const CODE = /book\/api/;
var Scorer = {
  score: ([page, title, , , score]) =>
    score +
    (ASKED && title.toLowerCase().includes(ASKED) ? 10 : 0) +
    (STORY.test(page) ? 15 : CODE.test(page) ? -15 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
