// What to put where, for the client a person has: the address this daemon is reached at, a key and a model, filled in.
import { html, useState } from "../view.js";
import { t } from "../i18n.js";
import { useGet } from "../api.js";
import { Card, CopyBlock, CopyButton, Field, Note, Tabs } from "../ui.js";
import { PLACEHOLDER, RECIPES, modelFor } from "./clients_recipes.js";

export function SetUp({ about, keys, whole, reveal, near }) {
  const models = useGet("/models");
  const [current, setCurrent] = useState(RECIPES[0].id);
  const [model, setModel] = useState("");
  const [chosen, setChosen] = useState(null);
  const recipe = RECIPES.find((one) => one.id === current);
  const list = models.data?.data ?? [];
  const usable = keys.filter((key) => key.source !== "config" && key.enabled && (near || whole[key.id]));
  // A key that was just made or revealed is the one a person means, until another is chosen.
  const id = chosen ?? usable.find((key) => whole[key.id])?.id ?? "";
  const key = whole[id] ?? PLACEHOLDER;
  const address = about.data?.client_address ?? location.origin;
  const choose = (value) => {
    setChosen(value);
    if (value) reveal(value);
  };
  const blocks = recipe.blocks({ address, key, model: modelFor(recipe, list, model) });
  return html`<${Card} title=${t("clients.setup")} hint=${t("clients.setup.hint")}>
    <div class="setup-address"><span class="label">${t("clients.address")}</span><code>${address}</code><${CopyButton} text=${address} /></div>
    <div class="setup-choices">
      <${Field} as="select" label=${t("clients.key.choose")} value=${id} onChange=${(event) => choose(event.currentTarget.value)}
        hint=${usable.length ? "" : t(near ? "clients.key.none" : "clients.key.far")}
        options=${[{ value: "", label: t("clients.key.placeholder", { word: PLACEHOLDER }) }, ...usable.map((row) => ({ value: row.id, label: row.alias || row.id }))]} />
      <${Field} as="select" label=${t("clients.model.choose")} value=${model} onChange=${(event) => setModel(event.currentTarget.value)}
        options=${[{ value: "", label: t("clients.model.any", { model: modelFor(recipe, list, "") }) }, ...list.map((one) => ({ value: one.id, label: `${one.id} (${one.providers.join(", ")})` }))]} />
    </div>
    ${models.data && !list.length && html`<${Note} tone="warn" title=${t("clients.model.none")}><a href="#/credentials">${t("clients.model.none.go")}</a><//>`}
    <${Tabs} label=${t("clients.setup")} current=${current} onChange=${setCurrent} tabs=${RECIPES.map(({ id, name }) => ({ id, label: name }))} />
    <div class="recipe" role="tabpanel" aria-label=${recipe.name}>
      <p class="recipe-note">${t(`clients.recipe.${recipe.id}`)}</p>
      <div class="recipe-blocks">
        ${blocks.map((block, n) => html`<${CopyBlock} key=${`${recipe.id}${n}`} code=${block.text} label=${block.file ?? t("clients.shell")} />`)}
      </div>
    </div>
  <//>`;
}
