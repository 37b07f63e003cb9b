"""2,048 short English words; no two share their first four letters or differ in one letter only. Never change it."""

WORDS: tuple[str, ...] = tuple(
    """
abaci abandon abduct abet abhor abide abject ablaze abolish about above abridge abroad abrupt abscess absent absorb
abstain absurd abyss academy accede acclaim accord accrue accuse acid acre across actor actress acumen acute adage
adamant addict address adhere adjoin adjust admit adopt adroit advance advent aerosol afar affront afield afoot afraid
agent agitate agony aimless airline airmail airport aisle alarm albeit albino album alert algae algebra align alike
allot aloft also alter altho amber ambush ameba amend amiable amiss ammonia amnesia amok amoral amount amulet amuse
anagram anchor ancient android anemia angel angle angst anguish annoy anomaly anon another antenna anthem antic
antonym anyone anyway apart apathy aped aplomb apology appeal apron arbiter ardent arduous arena aria armor arrest
arson artery artist artwork ascend ascribe ashtray aspen asphalt aspire assail asset assign assort assume asthma
astound asylum athlete atomic atone attract auburn auction augment aurae austere avail avarice avocado await award
awesome axiom azalea azure babble baboon baffle bagel baggy bakery balcony balk baloney bamboo banjo banquet baptism
barge barman barn barrel base basket baton bawl beach beak beard beaten beaver became beckon bedbug bedlam bedrock
bedside beehive been beeper beetle befall befit before began behead behind behold belie belly belt beneath benign
berth beset bestow betcha betray bettor between bewitch beyond bicker bike bikini billow binary biology birch bird
biscuit bisect bishop bitten bizarre blab blare blimp blitz blossom blown blue bluff blunt blurb bobbin bobcat body
bologna bolster bond bonnet bonus boom boost booth border bossy botany bottle bough boulder bouquet bourbon boxcar
brand brat brave brazen breeze brevity brittle brocade broil brood brute buddy buffet bulb bulge bunny burble burden
burial burly burnt burro bushy busily bustle butler buxom buzz bygone cabaret cabin caboose cadet cajole cake calcium
callow calorie camel campus canal cancel canine canker canny canoe cant capital capsize carbon cargo caribou carpet
cartel cascade caste casual catalog catch catfish catsup catwalk caution cedar cede cement censor cereal certain
chagrin chaotic chapt chase chef chewy child chime china chisel choir cholera choppy chord chrome chuck chummy cider
cinema cipher cistern cite citizen civic clack claim claret clean cleft clench clever client cliff clink clix close
club clump clxii coax cobalt cobble cobweb coffee cognac coin collar colon coma comfort comic compel concur condor
confer congeal conical conjure connect conquer contact convex cooky copious copy cordon cork couch count cousin covet
cowhide coyote cradle craft craggy cramp craze credit creek crepe crib crisp croak croci croquet crush crutch crux
crybaby crystal cubic cuckoo cuddle culprit cupsful cure curio curtsy custom cyanide cycle cypress cyst daddy dagger
daily dainty dampen dance dapper darken dart dash date dawdle dawn dazzle deacon dealt dean debase debit debris deceit
decoy deed deface defer defile deflate deft degree deign deject delay demand demote demure dental depart depend
deplete depress derail descend desert desk detach detour detract develop device diamond diaper dice dictate diesel
diet digit dilate dingy dioxide diploma dirge dirty disarm disease disgust dislike dismal disown dispel disrupt distil
dither dock dogma dogwood dolphin donate donut dopey dormant dorsal dose downy dozen drab drain drama drastic dread
drench dribble drift drink drip drool drouth drown drudge duchess duel duff dugout dulness dumpy dunno dupe duplex
dusky dutiful duvet eager earl east ebony edge eerie effect effort egoism elapse elastic elation elder element eleven
elite ellipse elude emanate emblem embody emotion empathy emperor employ emporia empty encase enchant enclose encode
endless endow endure enforce engine enhance enigma enlist enough enrich ensign enthral entwine envelop envy enzyme
epaulet epic epilog epitaph epoch ergo erosion errand erudite erupt escape escort essay essence estate esteem ethnic
eulogy eureka evasion event every evict evident exalt exclaim excuse exhale exhibit exhort exhume exile exit exotic
expand expel expire extant extend extol extra eyeball eyed eyesore fable facade facet facial faint fairy falcon false
famous fanatic fancy faraway farce farm fashion fatal federal feeble felon ferment fetter fiasco fiche fiction fidget
fiery fifth figment fillet filmy filter finch fine fiscal fission fist fixable flame flat flavor fled fleet flesh
flight flimsy flirt flock flog flood flora floss fluent fluke flung foal foetal foghorn foliage folksy fondle ford
forego forfeit forge forlorn forum fourth franc fraud freckle fret friar friend fringe fritter from frost froth froze
frugal fulcra fully fume fungi furious furnace furor furry further fusion future fuzzy gadget gain gale galore gamma
garden garlic garnet gaseous gather gaunt gauze gelatin gender genera genie gentle geology gerbil gesture getaway
geyser ghastly ghetto giant gibber gibe ginger giraffe girder girth glacial glade glamor gland gleam glee glib glimmer
glucose glum gnarl gnash gnat gnawn gnome gnus goatee goblet godless godsend gondola gong gooey gorilla gory gosh
gospel gossip goulash gout govern grate gray great grenade grew grid grime gritty grizzly groan groggy groom gross
grove growl guffaw guild guise guitar gulch gulf gurus gymnast haddock haggle half halon hamlet hamper hamster hapless
happy harbor hare harry harsh harvest hassle haven hawk haywire hazel heady heap heath heckle height heinous helium
helmet herald herd hernia heron hexagon hiccup himself hind history hitch hoard hockey hoist holdup holiday holler
homie honor hoot horde horizon hosiery hotel hothead hour however howl hubbub hued human humid hump hungry hurdle hurl
husband hush hyaena hybrid hyphen iceberg idle idol idyllic igloo ignite immense immoral immune impact impel impish
import inane inborn incite incline incur index indict indoor induce inept inexact infer influx inform ingest inhuman
initial injure inlay innate input inquest insect inside insult invade invent invoke iota iris island isolate isthmi
italic itchy iterate itself ivory jackal jalopy jamb jargon javelin jazz jealous jerky jersey jetty jiffy jiggle
jigsaw joint joke jostle jovial jubilee jugular jungle junior junky junta jury just kayak kernel ketchup kettle
keynote khaki kick kidney kilo kimono kinfolk kiosk kipper kitchen kitty knack knead knelt knew knife knob knotty
known knuckle koala kosher label labor lacquer laggard lair lamp lanky larceny larva larynx laser lass lathe laugh
laurel lavish lawless lawsuit lawyer laxity layman layout lazy leaky leapt learn lease lectern leech leeway leggin
legion legume leisure lend length lentil leopard letdown lettuce levy lexica liar library lichen life likable lilac
linen lint liquid lisp litany little liturgy lizard loam lobby local locket locust lodge lofty logic logo loop lorry
lost loth lotion lottery lotus loud louse lovable lowdown lucid lucky luggage lull lupin lurch lurk lute lxix lyric
macho madam madcap madden madman magnet magpie maim major makeup malice mallet malt mama mandate many maroon martin
marvel mascot matador math matrix matte mature maudlin maul mauve maze meadow meant measly media medley meek memoir
menace menial menus mercy merit mermaid mesh messy metal meteor miaow microbe midst mien might migrant mildew militia
mill mime mince mingle minion minnow minor mirage miser misfit mislay mixture moat mobile modal modify mohair mollify
molten moment momma monarch money mongrel monitor monolog more morose mosaic mosque motif motley motor motto mound
mourn mouth mown muggy mule multi mural murky murmur museum musket mutiny mutton mutual muzzle myriad myself mystic
name napalm napkin narrow nation naught naval navy nearby nebula negate neon nephew nestle nether never newbie newsy
nibble nickel niece ninny ninth nitrate nitwit nomad nominal nonstop noodle nook noose normal north nosy notice nougat
nova novel nowhere nuance nuclei numb nurse nurture nutmeg nylon nymph oatmeal obese obey oblige obscene obsess obtain
obtuse ocean octopi ocular oddity odious offbeat office offload offset ogre oily okay okra olden omelet ominous omit
onerous oneself onset onto onward opaque opera opossum oppress opulent oral orange orator orbit orient origin osmosis
otter ought ounce outcry outdo outgrew outlaw output outset outwit ovation oven owed oyster pace padlock palace paltry
panacea pancake panel pang panic pansy pantie papal papyri parade parch parka parlor parrot party pasta patent paunch
pause payable payload payoff peat pebble peck pedlar peel peeve pelican pellet penal pence penguin penny pension
perjure permit peruse pervade pesky petrol pewter phantom phoenix photo piano picture piddle pierce pigeon pigtail
pilgrim pipe piracy pitiful pity pivot pixie pizza plaid plane plaque play plaza pledge plenty plow pluck plunge poach
podia poem poetic pokey polar polka pollen polyp pony poor popcorn popular potato poultry praise pram preach precede
premise prepay prevue prey price print prior prism process project prone proud proxy prude psalm pseudo pudgy pueblo
puffy pulpit pulse puma pummel pundit punish punk puppy puree purple purr putty pyramid python qualm quantum quay
queen quell queue quip quirk quite quiver quota rabid racoon racy radii rage ramrod random rankle rapport rascal rasp
ratty ravine rayon razor rebut recap recipe recoil recruit recur redhead redid redone redraw refill refuel regal
regime regular rehash reis relax relic remade remedy remit remnant rename renew renown reopen repel reply request
reread resale resin respect result retail retch rethink retina retry reuse revamp reward rewind rework rewrite rhubarb
rhythm ribbon rickety ridden ridge rigid rile ring rinse riot riposte risen risky rival river road roast robin robot
rogue roll roman roomy rope roster rotten rotund route rowboat rowdy royal rubric ruby ruin rumble rummy rumor runaway
rundown runt rusty saber sabre sack safety saffron saga said saki salad salient salty sandy sarcasm sardine saris
sassy satchel satin sauce sauna sausage savage savior sawdust scald scamper scare scatter scepter school science scoop
scotch scour scowl scram scroll scuttle seaman seaport search secede second sector seedy segment seize senate sentry
sequel sera serene sermon serpent serum serve setback seven sewage sewn shade shaft shaggy shaikh shawl sheaf sheen
sherry shire shone shop shudder shunt side sierra sift silent silicon silly silver simple singe sink sinus siphon
sirloin sister sixth sizzle skate skein skeptic sketch skew skilful skimp skinny skirt skis skulk slam slang sleazy
slice slily slip sliver slob slope slouch slug slush smart smear smell smile smock smog smote smudge smut snag snail
snitch snuck soapy soar soccer social soda sodden soften soggy soil sojourn solemn solid solo solve sonata sooty
sorcery sorta soup source spasm speak speech sphere spider spill spite spleen split splurge sponge spotty spout spree
sprig spud squeak stadia stage stand staple staunch stellar stem stencil stern stiff stint stir stodgy stoical stoke
stow strew strip stubby stump stung stupid stutter style suave subdue subset subtle subway succor such suckle suede
suffer suggest sulky sultan summit sundae sunken supreme surf surmise surname survey suspect sustain swagger swallow
swarm swathe sway swipe swivel sword swum synagog synonym syrup tabby taboo tabus tacky taco tactic tailor taken
talent tango tantrum tape tardy tartan taut tavern tawdry taxis teapot tedium teeth tempi tendon tenet tennis tenor
tenure term terrace terse thatch theater their theory these theta they thimble this thous throb thug thunder thyme
tidal tiger tilde tilt timid tinder tiny tipsy tiptoe tobacco togae toggle told tomato tomboy tongue tonsil tool topic
topple torch torment torque torrid totem toupee toward towel tragic trance trash trauma travel trawl tree tremor trend
tribe trick trill trim trinity trivia trod trophy trout truant truce truffle trunk truth tuba tubular tuition tulip
tumult tune tunic tunnel turban tureen turgid turkey turmoil turtle tutor tuxedo twang tweet twelve twenty twig twirl
twitch tyrant ultra umpire umpteen unable unblock uncanny uncle uncouth under undue uneven unfair unfold unfurl
ungodly unhappy unheard unique unison unite unjust unkempt unkind unknown unlucky unnerve unpack unravel unruly
unsound unstuck unsung untie untrue unusual unwary upend upgrade upheld uphill upkeep uplift upload upon upper upright
uproar upset uptown upturn upward uranium urchin urgent useable used useful useless usher usurp uteri utility utmost
vaccine vacua vagrant valet valley valve vampire vandal vanish vapor variant varsity vary veer velour veneer venue
verbal verify vermin vertigo vessel vest veteran veto viable viaduct vial vibrant vicar vicious victim vied vigil
vigor vilify vintage vinyl viola viper virtue virus vise visit vista visual vivid vodka void volcano volt volume
voodoo vortex vulture waddle waft wail waist waive walrus waltz wane wanton warfare warlike warp waylay wayside weasel
weave wedlock weep weigh weird welcome well wept wharf wheel where whew while whirl whisk whizz whoever whoop whopper
whose wicket widen widow wigwam wilful winter wiry wisdom within witless woken wont woolen wordy worm would wrapt
wrath wreak wright write wrong wrought xvii yacht yank yard yellow yelp yield yoga yoghurt yokel yolk young yuck zeal
zebra zenith zero zeta zigzag zillion zombi zone
""".split()
)
