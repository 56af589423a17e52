# What may be asked of models, and which of their tool calls may run. `input` is the payload of a hook
# (docs/hooks.md) and its `event`. The first rule that holds decides; what no rule names is allowed for
# requests and asked about for tool calls.
package postern

decision := {"action": "block", "message": "the large models are for the gold tier"} if {
	input.event == "pre_request"
	contains(input.metadata.model, "opus")
	not gold
} else := {"action": "allow"} if {
	input.event == "pre_request"
} else := {"action": "deny", "message": "this command could delete what is not yours"} if {
	input.event == "tool_call"
	input.tool_call.name == "Bash"
	regex.match(`\brm\s+-[a-z]*r`, input.tool_call.params.command)
} else := {"action": "allow"} if {
	input.event == "tool_call"
	input.tool_call.name in {"Read", "Glob", "Grep"}
} else := {"action": "ask", "message": "not a tool that only reads"} if {
	input.event == "tool_call"
} else := {"action": "allow"} if {
	# Told afterwards: the answer is not read.
	input.event in {"entire_request", "tool_call_entire_request"}
}

# `"send": ["grants"]` carries the caller's values of other capabilities.
gold if {
	some grant in input.metadata.grants["example.com/cap/ai"]
	grant.tier == "gold"
}
