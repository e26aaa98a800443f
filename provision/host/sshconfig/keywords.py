"""The keywords that OpenSSH knows. A word that is none of them is a mistake in the file."""

from __future__ import annotations

MULTIPLE = frozenset({"certificatefile", "identityfile"})
"""Keywords whose values add up; of all others the first one counts."""

LISTS = frozenset({"canonicaldomains", "globalknownhostsfile", "userknownhostsfile"})
"""Those with several arguments."""

_FOLLOWED = """
addressfamily bindaddress canonicaldomains canonicalizehostname canonicalizemaxdots certificatefile
globalknownhostsfile host hostkeyalias hostname identitiesonly identityagent identityfile
ignoreunknown include match port proxycommand proxyjump revokedhostkeys user userknownhostsfile
"""

_OTHERS = """
addkeystoagent afstokenpassing applemultipath batchmode bindinterface
canonicalizefallbacklocal canonicalizepermittedcnames casignaturealgorithms
challengeresponseauthentication channeltimeout checkhostip cipher ciphers clearallforwardings
compression compressionlevel connecttimeout connectionattempts controlmaster controlpath
controlpersist dsaauthentication dynamicforward enableescapecommandline enablesshkeysign
escapechar exitonforwardfailure fallbacktorsh fingerprinthash forkafterauthentication
forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports globalknownhostsfile2
gssapiauthentication gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms
gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns hashknownhosts
hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes hostkeyalgorithms
identityfile2 ipqos kbdinteractiveauthentication kbdinteractivedevices keepalive
kerberosauthentication kerberostgtpassing kexalgorithms knownhostscommand localcommand
localforward loglevel logverbose macs nohostauthenticationforlocalhost numberofpasswordprompts
obscurekeystroketiming passwordauthentication permitlocalcommand permitremoteopen pkcs11provider
preferredauthentications protocol proxyusefdpass pubkeyacceptedalgorithms pubkeyacceptedkeytypes
pubkeyauthentication refuseconnection rekeylimit remotecommand remoteforward requesttty
requiredrsasize rhostsauthentication rhostsrsaauthentication rsaauthentication
securitykeyprovider sendenv serveralivecountmax serveraliveinterval sessiontype setenv
skeyauthentication smartcarddevice stdinnull streamlocalbindmask streamlocalbindunlink
stricthostkeychecking syslogfacility tag tcpkeepalive tisauthentication tunnel tunneldevice
updatehostkeys usekeychain useprivilegedport useroaming usersh userknownhostsfile2
verifyhostkeydns versionaddendum visualhostkey warnweakcrypto xauthlocation
"""

USED = frozenset(_FOLLOWED.split())
"""Those that elysium follows."""

KNOWN = USED | frozenset(_OTHERS.split())
