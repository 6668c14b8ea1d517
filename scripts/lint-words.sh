#!/usr/bin/env bash
# lint-words.sh: finds phrases that a reader has to read twice, and says how to write them: none in documentation, messages and help texts, and
# fewer than 40 in comments. A phrase may be broken by the end of a line.
set -euo pipefail
cd "$(dirname "$0")/.."

texts=(README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md docs chart dashboards jobs)
code=(exporter bpf)

git ls-files -- "${texts[@]}" "${code[@]}" | grep -E '\.(md|ya?ml|json|txt|tpl|cs|c|h)$' | perl -we '
	use strict;

	my $most_in_comments = 39;

	# A pattern, and how to write it. Between words there may be the end of a line and the mark of a comment.
	my @words = (
		["what (is|are|was|were|has|have|had|can|could)",  "name the thing: counts, rows, state, the request"],
		["(?<!there\\s)(is|are|was|were) (none|no(?!\\s(?:longer|more)))", "is not a; there is no"],
		["nobody",                                         "no program, no process, no client"],
		["whoever|(?:^|[.:;] |(?:by|for|from|of|on|than|to|with) )who", "the process, the client, the pod"],
		["former",                                         "previous"],
		["tells?|telling|told",                            "reports, logs, says, distinguishes"],
		["(that|those) of",                                "repeat the noun"],
		["(go|goes|going|went|gone) on",                   "continues, resumes"],
		["anew",                                           "again, from zero, recreated"],
		["at the most",                                    "at most"],
		["(lead|leads|led|leading) to",                    "peer namespace; causes"],
		["(left|leave|leaves|leaving)( [\\w`]+){0,3} out", "excluded; skips, misses"],
	);

	# Where such a phrase is right: the beginning of a path, and the words around the phrase.
	my @allowed = (
		["dashboards/runbooks/", "What has changed:"], # a question
	);

	# The part of a file that is checked: sections of CHANGELOG.md stay as they were released.
	sub checked {
		my ($file, $text) = @_;
		$text =~ s/^## (?!Unreleased).*//ms if $file eq "CHANGELOG.md";
		return $text;
	}

	# Whether the phrase at this place of a file with code is in a comment.
	sub in_comment {
		my ($file, $before) = @_;
		return 1 if $file =~ /\.[ch]$/;
		return $file =~ /\.cs$/ && $before =~ m{(^|\s)//[^\n]*\z};
	}

	my (@texts, @comments);
	while (my $file = <STDIN>) {
		chomp $file;
		next if -l $file;
		open my $input, "<", $file or die "$file: $!\n";
		my $text = checked($file, do { local $/; <$input> } // "");
		for my $word (@words) {
			my ($pattern, $remedy) = @$word;
			$pattern =~ s{ }{(?:[ \\t]+|[ \\t]*\\n[ \\t]*(?:(?://+|\\*|#|>)[ \\t]*)?)}g;
			while ($text =~ /(?<![\w-])(?:$pattern)(?![\w-])/gim) {
				my ($start, $end) = ($-[0], $+[0]);
				my $around = substr($text, $start < 60 ? 0 : $start - 60, 180) =~ s/\s+/ /gr;
				next if grep { index($file, $_->[0]) == 0 && index($around, $_->[1]) >= 0 } @allowed;
				my $phrase = substr($text, $start, $end - $start) =~ s/\s+/ /gr;
				my $line = 1 + (substr($text, 0, $start) =~ tr/\n//);
				my $found = "$file:$line: \"$phrase\": $remedy\n";
				push @{in_comment($file, substr($text, 0, $start)) ? \@comments : \@texts}, $found;
			}
		}
	}
	print @texts;
	if (@comments > $most_in_comments) {
		print @comments;
	}
	my $fails = @texts || @comments > $most_in_comments;
	printf "%d in texts (0 allowed), %d in comments (%d allowed)\n", scalar @texts, scalar @comments, $most_in_comments if $fails;
	exit($fails ? 1 : 0);
'
