"""Do embeddings form different spaces? Machine learning method."""

from layerclaims import (
    ALL_POSITIONS,
    CHANCE,
    CONTROL_TASK,
    EARLY,
    LDA,
    NEAREST_MEAN,
    OWN_CONTEXT,
    POST,
    RAW,
    SHUFFLED,
    SIZES,
    TREE,
    AsPublished,
    accuracy,
    at_context,
    claim,
    difference,
    lowest_recall,
    of_texts,
    quarter,
    rule,
    trend,
)
from layerclaims.quantities import separability
from layerclaims.recording import figures


@claim(
    section="separability",
    says="a linear classifier tells a vector's layer far above guessing",
    source=POST,
    where="Machine learning method",
    estimand="accuracy of the layer probe on documents it never saw",
    reported="gpt2 .92; gpt2-medium .8311; gpt2-xl .65 (chance ~.02)",
    reported_value=0.8311,
    rationale="A quarter of the way from chance to perfect is far above guessing for any number of layers; a probe "
    "on shuffled labels that beats chance would say that answers leak.",
)
def test_layers_linearly_separable(judge):
    """The accuracy is above quarter(.25), and the 99.9 % interval of the accuracy on shuffled labels does not lie
    above chance.
    """
    judge(
        accuracy(RAW, name="accuracy").above(quarter(0.25)),
        accuracy(SHUFFLED, name="accuracy on shuffled labels").not_above(CHANCE),
        controls=[
            accuracy(ALL_POSITIONS, name="accuracy with the first position"),
            difference(RAW, CONTROL_TASK, name="accuracy beyond a control task of random labels by word"),
            accuracy(LDA, name="accuracy of LDA"),
            accuracy(NEAREST_MEAN, name="accuracy of nearest means"),
        ],
        figures=[figures.confusion],
        as_published=rule(
            accuracy(RAW, name="accuracy").above(quarter(0.25)),
            figures=[figures.confusion],
        ),
    )


@claim(
    section="separability",
    says="embeddings of different layers belong to different subspaces",
    source=POST,
    where="Conclusion",
    estimand="the lowest recall that any one layer has under the layer probe",
    rationale="The conclusion speaks of every layer, so the worst one decides.",
)
def test_every_layer_recognised(judge):
    """In every layer, the recall is above quarter(.10)."""
    judge(
        lowest_recall(RAW).above(quarter(0.10)),
        controls=[lowest_recall(ALL_POSITIONS, name="lowest recall with the first position")],
        figures=[figures.accuracy_by_layer],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="separability",
    says="other interpretable models, such as a decision tree, can classify embeddings",
    source=POST,
    where="Further Plans",
    estimand="accuracy of a decision tree (CART, depth 20, 10,000 training vectors) on documents it never saw",
    rationale="The bar of the linear probe; how far the tree stays behind it is reported beside it.",
)
def test_decision_tree_separates(judge):
    """The accuracy of the tree is above quarter(.25). Its gap to the linear probe is reported beside it."""
    judge(
        accuracy(TREE, name="accuracy of a decision tree").above(quarter(0.25)),
        controls=[difference(RAW, TREE, name="what the linear probe has beyond the tree")],
        figures=[figures.accuracy_by_classifier],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="separability",
    says="the more data points are used for training, the higher the accuracy",
    source=POST,
    where="Machine learning method",
    estimand="Page's trend of a document's accuracy over probes of 1/16, 1/8, 1/4, 1/2 and all of the training "
    "documents; and the accuracy with all of them minus that with 1/16",
    reported="Fig. 6",
    rationale="A trend alone may be too small to matter, so the whole gain has to exceed one point.",
)
def test_more_data_higher_accuracy(judge):
    """Accuracy rises with the number of training documents (Page's trend), and all of them give more than .01 above a
    sixteenth.
    """
    judge(
        difference(RAW, SIZES[0], name="accuracy gained by more data").above(0.01),
        trend(SIZES, name="trend of accuracy with training size").above(0.0),
        figures=[figures.accuracy_by_size],
        as_published=rule(
            difference(RAW, of_texts(50), name="accuracy gained over 50 texts").above(0.01),
            figures=[figures.accuracy_by_texts],
        ),
    )


@claim(
    section="separability",
    says="as the context window increases, the accuracy improves",
    source=POST,
    where="Machine learning method",
    estimand="accuracy at the run's own context minus accuracy at 5 tokens, each with a probe of its own, trained on "
    "equally many vectors and tested on its own positions",
    reported="Fig. 7",
    rationale="One point is the least that a curve shows. States of a causal model do not depend on later tokens, so "
    "a shorter context is the beginning of the same texts.",
)
def test_longer_context_higher_accuracy(judge):
    """The run's own context gives more than .01 of accuracy above a context of 5 tokens, with equally many training
    vectors.
    """
    judge(
        difference(OWN_CONTEXT, at_context(5), name="accuracy gained by a longer context").above(0.01),
        controls=[
            difference(RAW, at_context(5), name="gained with as many vectors as there are"),
            difference(EARLY, at_context(5), name="gained on the first five tokens"),
        ],
        figures=[figures.accuracy_by_context],
        as_published=rule(
            difference(RAW, at_context(10), name="accuracy gained over 10 tokens").above(0.01),
            figures=[figures.accuracy_by_context],
        ),
    )


@claim(
    section="separability",
    says="the larger the model, the worse the classifier",
    source=POST,
    where="Machine learning method",
    estimand="accuracy on a model minus accuracy on the next larger one of the run, paired by document, for each pair "
    "of neighbours in parameter count",
    reported="gpt2 .92 > gpt2-medium .83 > gpt2-xl .60",
    rationale="Every step has to go down: one that rises refutes a rule of size.",
)
def test_larger_model_lower_accuracy(judge):
    """The accuracy falls with each step to the next larger model of the run, which has two models or more."""
    judge(separability.steps_of_size.above(0.0), figures=[figures.accuracy_by_model])
