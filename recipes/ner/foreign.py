"""German and French names, and sentence templates for them, which English training data lack.

Written for this recipe by the authors of Sprat, under the project's licence. None stands in the German test sentences
as a sentence; well-known names may stand in both.
"""

from typing import Final

EXONYMS: Final = {
    "de": {
        "Germany": "Deutschland", "France": "Frankreich", "Italy": "Italien", "Spain": "Spanien",
        "Austria": "Österreich",
        "Switzerland": "Schweiz", "Russia": "Russland", "Poland": "Polen", "Greece": "Griechenland", "Turkey": "Türkei",
        "Norway": "Norwegen", "Sweden": "Schweden", "Denmark": "Dänemark", "Belgium": "Belgien", "Hungary": "Ungarn",
        "Netherlands": "Niederlande", "Europe": "Europa", "America": "Amerika", "Africa": "Afrika", "Asia": "Asien",
        "Australia": "Australien", "Canada": "Kanada", "Brazil": "Brasilien", "Mexico": "Mexiko", "India": "Indien",
        "Egypt": "Ägypten", "Rome": "Rom", "Moscow": "Moskau", "Munich": "München", "Cologne": "Köln", "Vienna": "Wien",
        "Brussels": "Brüssel", "Prague": "Prag", "Warsaw": "Warschau", "Milan": "Mailand", "Venice": "Venedig",
        "Tokyo": "Tokio", "Lisbon": "Lissabon", "Athens": "Athen", "Beijing": "Peking", "Mary": "Maria",
        "John": "Johannes",
    },
    "fr": {
        "Germany": "Allemagne", "Italy": "Italie", "Spain": "Espagne", "Austria": "Autriche", "Switzerland": "Suisse",
        "Russia": "Russie", "Poland": "Pologne", "Greece": "Grèce", "Turkey": "Turquie", "Norway": "Norvège",
        "Sweden": "Suède", "Denmark": "Danemark", "Belgium": "Belgique", "England": "Angleterre", "Japan": "Japon",
        "China": "Chine", "Europe": "Europe", "America": "Amérique", "Africa": "Afrique", "Asia": "Asie",
        "Australia": "Australie", "Brazil": "Brésil", "Mexico": "Mexique", "India": "Inde", "Egypt": "Égypte",
        "London": "Londres", "Moscow": "Moscou", "Vienna": "Vienne", "Brussels": "Bruxelles", "Lisbon": "Lisbonne",
        "Athens": "Athènes", "Beijing": "Pékin", "Mary": "Marie", "John": "Jean",
    },
}  # fmt: skip
"""English name → its form in the language."""

GIVEN: Final = {
    "de": "Lukas Anke Jürgen Sabine Matthias Heike Uwe Katrin Fatma Ayşe Mehmet Stefan Petra Björn Gisela Karl-Heinz "
    "Ute Wolfgang Jana Tobias Nadine Dieter Elif Sven Monika Holger Silke Ralf Birgit Jonas Frieda Emil Greta Kemal",
    "fr": "Julien Camille Chloé Étienne Margaux Baptiste Amélie Jean-Pierre Fatima Karim Hélène Thierry Aurélie Loïc "
    "Mathilde Olivier Sylvie Yannick Nathalie Bruno Inès Rémi Claire Didier Manon Théo Sandrine Farid Élodie Hugo",
}  # fmt: skip
FAMILY: Final = {
    "de": "Krüger Neumann Zimmermann Yılmaz Hartmann Lange Köhler Schröder Winkler Öztürk Lorenz Brandt Vogel Kaiser "
    "Jäger Fuchs Sommer Böhm Stein Pohl Seidel Bergmann Nowak Kowalski Schäfer Bauer Richter Klein Wolf Koch Maier",
    "fr": "Lefèvre Moreau Girard Rousseau Benali Fontaine Mercier Chevalier Lambert Perrin Gauthier Diallo Marchand "
    "Renard Garnier Faure Besson Noël Haddad Colin Leclerc Barbier Dupuis Morin Carpentier Roussel Vasseur Blanc",
}  # fmt: skip
PLACES: Final = {
    "de": "Hamburg|Leipzig|Nürnberg|Dresden|Graz|Zürich|Bern|Linz|Kiel|Bremen|Freiburg im Breisgau|Frankfurt am Main|"
    "Bayern|Sachsen|Hessen|Tirol|Nordrhein-Westfalen|Polen|Frankreich|Dänemark|Mailand|Prag|Straßburg|Wuppertal|"
    "Bad Homburg|Sankt Gallen|der Schwarzwald|die Ostsee|Potsdam|Regensburg|Lübeck|Österreich|Schweiz|Brüssel",
    "fr": "Lyon|Marseille|Toulouse|Nantes|Strasbourg|Lille|Rennes|Genève|Liège|Namur|Bordeaux|Bretagne|Normandie|"
    "Aix-en-Provence|La Rochelle|Saint-Étienne|Allemagne|Espagne|Suisse|Belgique|Bruxelles|Lausanne|Dijon|Grenoble",
}  # fmt: skip
ORGANISATIONS: Final = {
    "de": "Bosch|Deutsche Telekom|Deutsche Post|Volkswagen AG|Lufthansa|Allianz SE|Commerzbank|Sparkasse Bremen|"
    "Stadtwerke Kiel|Universität Leipzig|Technische Universität Dresden|Charité|Zalando|Rewe|Edeka|ThyssenKrupp|"
    "Bundesrechnungshof|Bundestag|SPD|Grüne|ADAC|Rotes Kreuz|Werder Bremen|FC St. Pauli|Spiegel|Bayerischer Rundfunk|"
    "Krüger & Söhne GmbH|Winkler Maschinenbau GmbH|Nordlicht Energie eG|Helios Kliniken|Vattenfall|Infineon|Otto Group",
    "fr": "Renault|SNCF|Air France|BNP Paribas|Crédit Agricole|Orange|Université de Nantes|CHU de Rennes|Carrefour|"
    "Le Monde|Olympique lyonnais|Conseil d'État|Airbus|Michelin|La Poste|Assemblée nationale|Garnier et Fils|EDF",
}  # fmt: skip

PATTERNS: Final = {
    "de": (
        "{PER} arbeitet seit drei Jahren bei {ORG} in {LOC}.",
        "Die {ORG} hat ihren Sitz in {LOC}.",
        "Ich habe am Montag mit {PER} von der {ORG} telefoniert.",
        "Bitte schicken Sie die Rechnung an {PER}, {LOC}.",
        "Das Paket aus {LOC} ist noch immer nicht angekommen.",
        "{ORG} und {ORG} haben einen Vertrag unterschrieben.",
        "Laut {ORG} steigen die Preise im nächsten Jahr.",
        "Der Zug von {LOC} nach {LOC} hatte zwei Stunden Verspätung.",
        "{PER} und {PER} kommen am Freitag zur Besprechung.",
        "Herr {FAMILY} hat den Vertrag gekündigt.",
        "Frau {FAMILY} bittet um einen Rückruf.",
        "Mein Konto bei der {ORG} ist gesperrt.",
        "Die Mitarbeiter von {ORG} streiken in {LOC}.",
        "Nach Angaben der Polizei in {LOC} gab es keine Verletzten.",
        "{PER}, Geschäftsführerin der {ORG}, stellte die Zahlen vor.",
        "Guten Tag, mein Name ist {PER} und ich habe eine Frage zur Bestellung.",
        "Wir ziehen im Sommer von {LOC} nach {LOC} um.",
        "Mit freundlichen Grüßen {PER}",
        "Können Sie mir sagen, ob die Filiale in {LOC} am Samstag geöffnet ist?",
        "Der Lieferwagen der {ORG} stand vor dem Haus.",
        "{ORG} übernimmt den Konkurrenten {ORG}.",
        "Im Stadion gewann {ORG} gegen {ORG} mit zwei zu eins.",
        "Der Bürgermeister von {LOC}, {PER}, eröffnete die Ausstellung.",
        "Die Bewerbung von {PER} liegt der Personalabteilung vor.",
        "Das Wetter in {LOC} bleibt am Wochenende freundlich.",
        "Die Aktie von {ORG} verlor an der Börse in {LOC} fünf Prozent.",
        "Kollegin {GIVEN} hat den Schlüssel im Büro vergessen.",
        "Hallo {GIVEN}, hast du die Unterlagen bekommen?",
        "An der {ORG} studieren viele junge Leute aus {LOC}.",
        "Der Patient wurde von {PER} in der Klinik in {LOC} behandelt.",
    ),
    "fr": (
        "{PER} travaille chez {ORG} à {LOC} depuis trois ans.",
        "Le siège de {ORG} se trouve à {LOC}.",
        "J'ai parlé hier avec {PER} de la société {ORG}.",
        "Le colis envoyé de {LOC} n'est toujours pas arrivé.",
        "{ORG} et {ORG} ont signé un accord.",
        "Selon {ORG}, les prix vont augmenter l'année prochaine.",
        "Le train de {LOC} à {LOC} avait deux heures de retard.",
        "Bonjour, je m'appelle {PER} et j'ai une question sur ma facture.",
        "Monsieur {FAMILY} a résilié son contrat.",
        "Madame {FAMILY} demande à être rappelée.",
        "Le maire de {LOC}, {PER}, a inauguré l'exposition.",
        "Mon compte chez {ORG} est bloqué.",
        "Nous déménageons de {LOC} à {LOC} cet été.",
        "Bonjour {GIVEN}, as-tu reçu les documents ?",
        "Les employés de {ORG} sont en grève à {LOC}.",
    ),
}
