"""What words mean to the guards of the near cache: numbers, negations, colours, directions and opposites.

Where it is doubtful whether two words mean one thing they are two: a miss costs a picture, a false hit gives somebody
the wrong one.
"""

from __future__ import annotations

ARTICLES = frozenset(
    "a an the des der die das den dem ein eine einen einem einer un une le la les de du el los".split()
)
"""Words that stand before a thing, and part it from the one before."""

PLAIN = ARTICLES | frozenset(
    """and or is are was were be been being its it this that these those there here some any which who whose while his
    her their has have having very style image picture photo photograph""".split()
)
"""Words whose order says nothing."""

JOINING = frozenset("in on at from with by near".split())
"""What may be left out where the two words around it are turned: a waterfall in a jungle is a jungle waterfall."""

PLACING = JOINING | frozenset(
    """to for as of over above under below beneath behind beside inside within outside into onto upon before after
    through across around against towards toward between among near by along beyond during""".split()
)
"""Words that say how what follows them belongs to what stands before."""

RESTING = frozenset(
    """asleep awake sleeping sleeps sitting sits standing stands lying lies jumping jumps running runs walking walks
    flying flies swimming swims parked smiling smiles crying cries resting rests dancing dances singing sings floating
    floats galloping gallops kneeling kneels hanging hangs glowing glows seated""".split()
)
"""What a thing does alone: a fox asleep is an asleep fox."""

NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty""".split()
    )
} | {
    "single": "1", "once": "1", "lone": "1", "solitary": "1", "solo": "1", "pair": "2", "couple": "2", "both": "2",
    "twin": "2", "twins": "2", "twice": "2", "double": "2", "dual": "2", "duo": "2", "duet": "2", "trio": "3",
    "triple": "3", "triplets": "3", "thrice": "3", "quartet": "4", "quadruple": "4", "quintet": "5", "sextet": "6",
    "half": "1/2", "halved": "1/2", "quarter": "1/4", "dozen": "12", "thirty": "30", "forty": "40", "fifty": "50",
    "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90", "hundred": "100", "thousand": "1000",
    "million": "1000000", "billion": "1000000000", "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th",
    "fifth": "5th", "sixth": "6th", "seventh": "7th", "eighth": "8th", "ninth": "9th", "tenth": "10th",
    "twenties": "20s", "thirties": "30s", "forties": "40s", "fifties": "50s", "sixties": "60s", "seventies": "70s",
    "eighties": "80s", "nineties": "90s", "several": "many", "many": "many", "few": "few", "crowd": "many",
    "dozens": "many", "hundreds": "many", "thousands": "many", "countless": "many", "numerous": "many",
    "every": "all", "all": "all",
    "triangle": "3-gon", "triangles": "3-gon", "triangular": "3-gon", "twosome": "2", "threesome": "3",
    "foursome": "4", "septet": "7", "octet": "8", "nonet": "9",
} | {
    f"{greek}{ending}": f"{number}-{endings.split()[0]}"
    for greek, number in {
        "tetra": 4, "penta": 5, "hexa": 6, "hepta": 7, "octa": 8, "nona": 9, "deca": 10, "dodeca": 12, "icosa": 20,
    }.items()
    for endings in ("gon gons gonal", "gram grams", "hedron hedrons hedra hedral")
    for ending in endings.split()
}  # fmt: skip

NEGATIONS = frozenset(
    """no not without never none nothing nobody nowhere neither nor nary cannot lacking lack lacks lacked minus
    except
    excluding exclude excludes excluded absent stopped ceased failed fails avoid
    avoids avoiding missing omit omits omitting omitted hardly barely
    scarcely seldom rarely devoid void bereft refuse refuses refusing refused forbid forbids forbidden instead
    isnt arent wasnt werent dont doesnt didnt cant couldnt wont wouldnt shouldnt hasnt havent hadnt mustnt neednt aint
    shant mightnt opposite fake ohne kein keine keinen keinem keiner keines nicht nie sans pas jamais sin nunca non
    senza sem zonder geen niet ikke uden inte utan bez""".split()
)
"""Words that deny the next one."""

DENYING_BEFORE_OF = frozenset("free empty bare clear rid void".split())
"""Words that deny what follows if "of" or "from" stands between."""

DENYING_BEFORE_BUT = frozenset("anything everything everyone everybody all any anyone nothing none nobody".split())
"""Words after which "but" takes something out."""

UN = ("counter", "anti", "non", "dis", "mis", "un", "in", "im", "il", "ir", "de", "a")
"""What makes a word its own opposite when it stands at its beginning."""

_COLOUR_SETS = (
    "red crimson scarlet", "blue", "azure", "navy", "cobalt", "sapphire", "ultramarine", "green", "emerald", "olive",
    "lime", "jade", "yellow", "lemon", "orange", "tangerine", "purple", "violet", "lilac", "lavender", "mauve", "plum",
    "pink", "rose rosy", "fuchsia", "magenta", "brown", "chestnut", "chocolate", "sepia", "umber", "sienna", "black",
    "ebony", "jet", "inky", "white", "ivory", "pearl", "grey gray greyscale grayscale", "silver silvery", "ash ashen",
    "charcoal", "slate", "gold golden gilded", "turquoise", "teal", "cyan aqua", "aquamarine", "beige", "tan", "taupe",
    "cream creamy", "maroon", "burgundy", "wine", "bronze", "copper", "brass", "rust rusty", "amber", "indigo",
    "khaki", "coral", "salmon", "peach", "apricot", "mint", "mustard", "ochre ocher", "saffron", "ruby", "vermilion",
    "dun", "hazel", "auburn", "ginger", "blonde blond", "brunette", "periwinkle", "chartreuse",
    "monochrome monochromatic", "colourful colorful multicoloured multicolored rainbow",
    "colour color coloured colored", "pastel", "neon", "transparent", "translucent", "opaque",
    "bluish", "greenish", "reddish", "yellowish", "purplish",
    "pinkish", "brownish", "greyish grayish", "whitish", "blackish",
)  # fmt: skip
COLOURS = {word: words.split()[0] for words in _COLOUR_SETS for word in words.split()}
"""Colours, each with its name; a shade is a colour of its own, but for two reds."""

SHADES = {
    word: words.split()[0]
    for words in (
        "light pale soft fair baby powder", "dark deep midnight", "bright vivid vibrant brilliant electric hot neon",
        "dull faded muted dusty", "sky", "warm", "cool", "matte matt", "glossy shiny", "royal", "forest", "sea",
    )
    for word in words.split()
}  # fmt: skip
"""Words that make another colour of the one that follows."""

DIRECTIONS = {
    word: words.split()[0]
    for words in (
        "left leftmost leftward leftwards", "right rightmost rightward rightwards", "over above overhead",
        "under below beneath underneath", "behind", "front", "back rear", "inside within", "outside", "top upper",
        "bottom lower", "up upward upwards upstairs uphill", "down downward downwards downstairs downhill", "before",
        "after", "north northern northerly northward northbound",
        "south southern southerly southward southbound", "east eastern easterly eastward eastbound",
        "west western westerly westward westbound", "northeast northeastern",
        "northwest northwestern", "southeast southeastern", "southwest southwestern", "near close beside next",
        "far distant", "towards toward", "away", "into", "out", "onto", "off", "foreground", "background",
        "clockwise", "counterclockwise anticlockwise", "horizontal horizontally", "vertical vertically", "facing",
        "between", "forward forwards", "backward backwards", "inward inwards", "outward outwards", "inner", "outer",
    )
    for word in words.split()
}  # fmt: skip

AXES = (
    ("day daytime daylight noon midday", "night nighttime midnight", "dawn sunrise morning", "dusk sunset evening"),
    ("summer", "winter wintry wintery", "spring", "autumn fall autumnal"),
    ("open opened", "closed shut"),
    ("big large huge giant enormous", "small little tiny miniature"),
    ("tall high", "short low"),
    ("wide", "narrow"),
    ("thick", "thin"),
    ("full", "empty"),
    ("young", "old elderly ancient aged"),
    ("new modern", "vintage antique historic"),
    ("man men male gentleman", "woman women female lady"),
    ("boy boys", "girl girls"),
    ("happy smiling cheerful joyful", "sad crying gloomy angry"),
    ("hot warm", "cold cool icy frozen"),
    ("wet", "dry"),
    ("bright light pale fair", "dark tanned", "heavy"),
    ("clean", "dirty"),
    ("alive living live", "dead"),
    ("awake", "asleep sleeping"),
    ("standing", "sitting seated", "lying"),
    ("more", "less fewer"),
    ("larger bigger taller", "smaller shorter"),
    ("older", "younger"),
    ("faster", "slower"),
    ("from", "to"),
    ("indoor indoors", "outdoor outdoors"),
    ("arriving arrives entering enters", "departing departs leaving leaves"),
    ("ascending climbing", "descending"),
    ("convex", "concave"),
    ("push pushing pushes", "pull pulling pulls"),
    ("landscape", "portrait"),
    ("real genuine", "false artificial"),
    ("port", "starboard"),
    ("unicycle", "bicycle bike", "tricycle"),
)
"""Words that may be left out, but not replaced by their opposites."""

OPPOSED = {
    word: (axis, end) for axis, ends in enumerate(AXES) for end, words in enumerate(ends) for word in words.split()
}
"""On which axis a word lies, and at which end of it."""
