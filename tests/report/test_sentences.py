"""The report answers, and tells its methods, in sentences that say no more than the results."""

from dataclasses import replace

import numpy as np
import xarray as xr

from rsa_face.inference.results import NO_TEST
from rsa_face.report.narrate import _stimuli_of, answer_of, methods_of
from tests.made_up import answered as localization
from tests.made_up import made_up_contrast as contrast


def test_the_answer_names_layers_with_their_uncertainty(study):
    extras = {
        "localization": localization(["fc8", "none", "fe", "relu1"]),
        "contrast": contrast([-0.1, 0.02, 0.03]),
    }
    answer = answer_of(replace(study, extras=extras))
    assert "FE-AlexNet" in answer.question
    best = study.result.isel(rdm=int(np.argmax(study.result["similarity"].values)))
    assert f"{best['similarity'].item():.3f}, 95% interval" in answer.sentences[-1]
    assert answer.headline == (
        "FE-AlexNet is most like people at fc8: Spearman ρ-a 0.200 (band over layers 0.160 to 0.240)."
    )
    assert answer.sentences[:-2] == (
        "fc8 is picked in 60% of draws; the 95% set of layers not ruled out is fe and fc8.",
        "Its similarity is half-way from the first layer to the peak at a depth of 0.60 (95% interval 0.40 to 0.75), "
        "first passed at fe.",
        "No layer is shown to reach the noise ceiling, that is, to be above 90% of its lower bound of 0.400 (about "
        "0.450 with many participants), as in 70% of draws. fc8 is at 50% of it (band 40% to 60%). Every layer is "
        "below it.",
        "fe is the first layer above AlexNet, by +0.050 (band +0.010 to +0.090). It is picked in 80% of draws; the "
        "95% set of layers not ruled out is fe.",
        "relu1 is the first layer to differ from AlexNet: FE-AlexNet is less like people there, by −0.050 (band "
        "−0.090 to −0.010). It is picked in 60% of draws; the 95% set of layers not ruled out is relu1 and fe.",
    )
    assert "more like people than AlexNet at relu5 and fc8, of 3 matched layers" in answer.sentences[-2]
    assert all(sentence.endswith(".") for sentence in answer.sentences)
    assert any("nothing about people" in limit for limit in answer.limits)


def test_what_remains_under_the_controls_stands_in_the_answer_with_its_interval(study):
    similarity = study.result["similarity"]
    controls = {"controls": ["pixels", "level"]}
    result = study.result.assign(
        partial_similarity=similarity / 10, partial_similarity_interval=study.result["similarity_interval"] / 10
    ).assign_attrs(controls)
    rows = result.isel(rdm=(result["network"] == "fe_alexnet").values)
    best = rows.isel(rdm=int(np.argmax(rows["similarity"].values)))
    low, high = best["partial_similarity_interval"].values
    value = float(best["similarity"])
    assert answer_of(replace(study, result=result, extras={})).headline == (
        f"FE-AlexNet is most like people at {best['layer'].item()}: Spearman ρ-a {value:.3f} (95% interval "
        f"{value - 0.05:.3f} to {value + 0.05:.3f}); with pixels and level partialled out, {value / 10:.3f} "
        f"(95% interval {low:.3f} to {high:.3f}) remains."
    )
    by_draws = answer_of(replace(study, result=result, extras={"localization": localization(["fc8"] * 4)})).headline
    assert f"; with pixels and level partialled out, {float(rows['similarity'][-1]) / 10:.3f} (95%" in by_draws
    remains = f"{float(similarity.max()) / 10:.3f}"
    assert any(one.endswith(f"With pixels and level partialled out its similarity is {remains}.")
               for one in answer_of(replace(study, result=result)).sentences)  # fmt: skip


def test_the_value_on_what_did_not_pick_the_layer_stands_in_the_sentence_about_picking(study):
    where = localization(["fc8", "none", "none", "none"]).assign(
        held_out_similarity=("target", [0.17] + [np.nan] * 3)
    )
    picking = answer_of(replace(study, extras={"localization": where})).sentences[0]
    assert picking.startswith(
        "fc8 is picked in 60% of draws, and its similarity is 0.170 on stimuli and participants that did not pick it;"
    )


def test_the_answer_of_a_study_with_seeds_is_over_all_of_them_and_contradicts_no_single_one(study):
    names = {"alexnet": "alexnet/random/0", "fe_alexnet": "fe_alexnet/random/0"}
    renamed = [names[name] for name in study.result["network"].values]
    result = study.result.assign_coords(
        network=("rdm", renamed),
        rdm=[f"{n}/{la}" for n, la in zip(renamed, study.result["layer"].values, strict=True)],
    )
    seeds = xr.Dataset(
        {
            "similarity": ("seeded", [0.1, 0.3, 0.2, 0.4]),
            "similarity_interval": (("seeded", "bound"), [[0.0, 0.2], [0.2, 0.4], [0.1, 0.3], [0.3, 0.5]]),
            "difference": ("seeded", [np.nan, np.nan, 0.1, 0.1]),
            "difference_interval": (("seeded", "bound"), [[np.nan] * 2] * 2 + [[0.05, 0.15]] * 2),
        },
        {"start": ("seeded", ["alexnet/random"] * 2 + ["fe_alexnet/random"] * 2),
         "layer": ("seeded", ["relu1", "fc8"] * 2), "seeds": ("seeded", [3] * 4)},
        {"network": "fe_alexnet/random", "baseline": "alexnet/random", "confidence": 0.95,
         "over": ["seeds", "stimuli"]},
    )  # fmt: skip
    where = localization(["fc8", "none", "none", "none"]).assign_attrs(
        network="fe_alexnet/random/0", baseline="alexnet/random/0"
    )
    extras = {"seeds": seeds, "localization": where, "contrast": contrast([-0.1] * 3)}
    answer = answer_of(replace(study, result=result, extras=extras))
    assert answer.question.startswith("At which layer does FE-AlexNet (random) become")
    assert answer.headline == (
        "FE-AlexNet (random) is most like people at fc8: Spearman ρ-a 0.400 over 3 seeds (95% interval 0.300 to "
        "0.500, over seeds and stimuli)."
    )
    assert "more like people than AlexNet (random) at relu1 and fc8" in answer.sentences[0]
    assert answer.sentences[1].startswith("Seed 0 alone: FE-AlexNet (random, seed 0) is most like people at fc8")
    assert not any("not shown to differ" in one for one in answer.sentences)


def test_that_no_layer_differs_from_the_baseline_is_said_once(study):
    where, never = localization(["fc8", "none", "none", "none"]), "No layer of FE-AlexNet is shown to differ"
    alone = answer_of(replace(study, extras={"localization": where})).sentences
    assert sum(never in one for one in alone) == 1
    both = answer_of(replace(study, extras={"localization": where, "contrast": contrast([-0.1] * 3)})).sentences
    assert not any(never in one for one in both)
    assert "not shown to differ from AlexNet at any layer" in both[-2]


def test_not_to_be_told_from_the_ceiling_is_not_to_reach_it(study):
    def said(where: xr.Dataset) -> tuple[str, ...]:
        return answer_of(replace(study, extras={"localization": where})).sentences

    where = localization(["fc8", "none", "none", "none"])
    near = said(where.assign(below_ceiling=where["below_ceiling"] & (where["layer"] != "fc8")))
    assert any(one.endswith("fc8 cannot be told from it, which does not show that it reaches it.") for one in near)
    assert near[-2] == "No layer of FE-AlexNet is shown to differ from AlexNet, as in 0% of draws."
    reached = said(localization(["fc8", "fc8", "none", "relu1"]))
    assert any(one.startswith("fc8 is the first layer shown to reach the noise ceiling") for one in reached)
    assert "No layer of FE-AlexNet is shown to be above AlexNet, as in 10% of draws." in reached


def test_the_answer_says_what_was_not_asked(study):
    alone = answer_of(replace(study, extras={})).sentences
    assert "this was not tested" in alone[0]
    neither = answer_of(replace(study, extras={"contrast": contrast([-0.1] * 3)})).sentences[-2]
    assert "not shown to differ from AlexNet at any layer, of 3 matched" in neither
    assert answer_of(replace(study, result=None)).headline.startswith("Layers were not compared")


def test_accuracy_and_how_far_ranks_agree_are_told_with_what_they_are_worth(study):
    names = ["similarity_peak", "similarity_fc7", "pse_distance", "saliency_eyes", "saliency_nose"]
    rho = np.eye(5)
    rho[0, 1:] = rho[1:, 0] = [0.9, -0.5, 0.25, np.nan]
    pairs = ("quantity", "quantity_other")
    agreement = xr.Dataset(
        {
            "rank_correlation": (pairs, rho),
            "rank_correlation_p": (pairs, np.full((5, 5), 0.4)),
            "n_networks": (pairs, np.full((5, 5), 4)),
        },
        dict.fromkeys(pairs, names),
    )
    scores = xr.Dataset(
        {"accuracy": (("network", "condition"), [[0.9, 0.95], [0.75, 0.8]])},
        {"network": ["alexnet", "fe_alexnet"], "condition": ["all", "none"]},
    )
    sentences = answer_of(replace(study, extras={"agreement": agreement, "training": scores})).sentences
    assert sentences[-2:] == (
        "Accuracy on whole faces held out from training: AlexNet 95% and FE-AlexNet 80%.",
        "Networks’ ranks by the similarity of their best layer correlate with those by distance in PSE −0.500 "
        "(p = 0.400) and saliency on the eyes 0.250 (p = 0.400) (Spearman; p by permuting networks, not corrected; "
        "4 networks are too few to tell).",
    )
    alone = agreement.isel(quantity=[0], quantity_other=[0])
    assert "ranks" not in " ".join(answer_of(replace(study, extras={"agreement": alone})).sentences)


def test_the_answer_says_where_a_network_is_less_like_people(study):
    both = {"contrast": contrast([-0.3, 0.02, -0.4])}
    sentence = answer_of(replace(study, extras=both)).sentences[-2]
    assert "more like people than AlexNet at relu5 and less so at relu1 and fc8" in sentence
    assert "at fc8, is −0.350 (band −0.400 to −0.300)" in sentence


def test_the_answer_is_about_the_contrast_with_the_baseline(study):
    other = contrast([0.1, 0.1, 0.1]).assign_attrs(network="fe_alexnet", baseline="vgg16")
    extras = {
        "contrast_a": other,
        "contrast_b": contrast([-0.3, -0.3, -0.3]),
        "localization": localization(["fc8"] * 4),
    }
    assert "less like people than AlexNet" in answer_of(replace(study, extras=extras)).sentences[-2]


def test_methods_hold_numbers_weights_versions_and_dois(study):
    methods = methods_of(study)
    text = " ".join(methods.paragraphs)
    for words in ("16 images", "weights: random, seed 0", "5 simulated observers", "200 draws, seed 0", "torch 2.14"):
        assert words in text
    assert all("doi:10." in reference for reference in methods.references)
    assert any("Squeeze-and-excitation" in reference for reference in methods.references)
    assert methods_of(replace(study, rdms=None, result=None, human=None, manifest={}, extras={})).paragraphs == ()


def test_methods_name_the_weights_of_each_seed(study):
    names = [f"{name}/imagenet/1" for name in study.rdms["network"].values]
    networks = [{"name": "alexnet", "weights": "imagenet", "seeds": [0, 1]}]
    seeds = replace(
        study, rdms=study.rdms.assign_coords(network=("rdm", names)), manifest={"study": {"networks": networks}}
    )
    assert "weights: imagenet, Deng et al. 2009, seed 1" in " ".join(methods_of(seeds).paragraphs)


def test_methods_name_the_layers_that_another_measure_made(study):
    others = [f"{network}/fc8: difference" for network in ("alexnet", "fe_alexnet")]
    rdms = study.rdms.assign_attrs(other_measures=others)
    sentence = (
        "For fc8 it was the absolute difference of the layer's one output, or of the difference of its two outputs."
    )
    assert sentence in " ".join(methods_of(replace(study, rdms=rdms)).paragraphs)
    assert "For fc8" not in " ".join(methods_of(study).paragraphs)


def test_every_work_in_the_references_is_cited_in_the_text(study):
    methods = methods_of(study)
    text = " ".join(methods.paragraphs)
    authors = [reference.split()[0].rstrip(",") for reference in methods.references]
    assert [name for name in authors if name not in text] == []


def test_methods_say_what_was_drawn_together_and_how_it_was_tested(study):
    grouped = study.result.assign_attrs(resample="dual", groups="identity", stimuli=6, p_above_zero_kind="t")
    text = " ".join(methods_of(replace(study, result=grouped)).paragraphs)
    assert "Stimuli of one identity are not independent and were drawn together (6 groups)" in text
    assert "Similarity above 0 was tested by a t test, which generalises to other stimuli and participants" in text
    cosine = study.result.drop_vars("p_above_zero").assign_attrs(p_above_zero_kind=NO_TEST)
    text = " ".join(methods_of(replace(study, result=cosine)).paragraphs)
    assert "Similarities were not tested against 0, which unrelated RDMs exceed" in text


def test_methods_tell_training_contrast_location_and_tests(study):
    training = {"lr": 1e-4, "batch": 16, "epochs": 3, "freeze": "none", "classes": ["sad", "happy"]}
    manifest = study.manifest | {"study": study.manifest["study"] | {"training": training}}
    scores = xr.Dataset(
        {"accuracy": (("network", "condition"), [[0.9, 0.95], [0.75, 0.8]])},
        {"network": ["a", "b"], "condition": ["all", "none"]},
    )
    result = study.result.assign(p_above_zero_corrected=study.result["p_above_zero"]).assign_attrs(
        p_above_zero_kind="shuffle", correction="max"
    )
    methods = methods_of(replace(study, manifest=manifest, result=result, extras=study.extras | {"training": scores}))
    text = " ".join(methods.paragraphs)
    for words in (
        "to tell sad and happy faces apart: Adam (Kingma & Ba 2015), step size 0.0001, batches of 16, 3 epochs",
        "On whole faces of other people they answered 80% to 95% correctly, on these and masked ones 75% to 90%.",
        "FE-AlexNet was contrasted with AlexNet and VGG16",
        "more than 90% of the lower ceiling (non-inferiority, by a 95% band over layers)",
        "Its first layer above AlexNet, and the first to differ, are read from the band of the contrast.",
        "extrapolated to many participants by the Spearman-Brown formula (Brown 1910)",
        "by shuffling stimulus labels (Nichols & Holmes 2002), about these stimuli and judgements; p values were "
        "corrected over the family of layers",
    ):
        assert words in text
    assert {"doi:10.1214/aos/1176345582", "doi:10.48550/arXiv.1412.6980", "doi:10.1002/hbm.1058"} <= {
        reference.split()[-1] for reference in methods.references
    }


def test_methods_name_how_and_where_saliency_was_mapped_and_cite_that_method(study):
    along = {"network": ["vgg16", "alexnet"], "layer": ("network", ["relu5_3", "relu5"])}
    shares = xr.Dataset({"proportion": ("network", [0.1, 0.2])}, along, {"method": "layercam", "answer": "given"})
    methods = methods_of(replace(study, extras={"saliency": shares}))
    sentence = "LayerCAM of the answer given (Jiang et al. 2021), at relu5 of AlexNet and relu5_3 of VGG16"
    assert sentence in " ".join(methods.paragraphs)
    assert any("doi:10.1109/TIP.2021.3089943" in reference for reference in methods.references)
    assert not any("Grad-CAM" in reference for reference in methods.references)


def test_stimuli_that_are_drawn_in_groups_are_counted_with_their_groups(study):
    table = study.result.assign_attrs(stimuli=6)
    assert _stimuli_of(table.assign_attrs(groups=None)) == "6 stimuli"
    drawn = table.assign_coords(stimulus=[f"face{number}" for number in range(54)])
    assert _stimuli_of(drawn.assign_attrs(groups="identity")) == "54 stimuli in 6 groups by identity"
