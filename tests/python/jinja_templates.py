"""Chat templates in words of our own, with the features of published ones.

LFM2 (tool lists, tool responses, tool calls), LFM2.5 (keep_past_thinking, preserve_thinking,
reasoning under several names, the generation tag, dates), and in the manner of Qwen 3, Llama 3,
SmolLM 3, Gemma, gpt-oss and Mistral: what a line of each does was read from the published ones.
"""

LFM2_HEAD = """{{- bos_token -}}
{%- set ns = namespace(system_prompt="") -%}
{%- if messages[0]["role"] == "system" -%}
    {%- set ns.system_prompt = messages[0]["content"] -%}
    {%- set messages = messages[1:] -%}
{%- endif -%}
{%- if tools -%}
    {%- set ns.system_prompt = ns.system_prompt + ("\\n" if ns.system_prompt else "") -%}
    {%- set ns.system_prompt = ns.system_prompt + "List of tools: LIST_START" -%}
    {%- for tool in tools -%}
        {%- set tool = (tool | tojson) + ("" if loop.last else ", ") -%}
        {%- set ns.system_prompt = ns.system_prompt + tool -%}
    {%- endfor -%}
    {%- set ns.system_prompt = ns.system_prompt + "LIST_END" -%}
{%- endif -%}
{%- if ns.system_prompt -%}
    {{- "<|im_start|>system\\n" + ns.system_prompt + "<|im_end|>\\n" -}}
{%- endif -%}
"""
TAIL = """{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
LFM2 = LFM2_HEAD.replace("LIST_START", "<|tool_list_start|>[").replace(
    "LIST_END", "]<|tool_list_end|>") + """
{#- turns -#}
{%- for message in messages -%}
    {{- "<|im_start|>" + message["role"] + "\\n" -}}
    {%- set content = message["content"] -%}
    {%- if content is not string -%}
        {%- set content = content | tojson -%}
    {%- endif -%}
    {%- if message["role"] == "tool" -%}
        {%- set content = "<|tool_response_start|>" + content + "<|tool_response_end|>" -%}
    {%- endif -%}
    {{- content + "<|im_end|>\\n" -}}
{%- endfor -%}
""" + TAIL  # fmt: skip
LFM25 = """{%- set keep_past_thinking = keep_past_thinking | default(false) -%}
""" + LFM2_HEAD.replace("LIST_START", "[").replace("LIST_END", "]") + """
{%- set ns.last_assistant_index = -1 -%}
{%- for message in messages -%}
    {%- if message.role == "assistant" -%}
        {%- set ns.last_assistant_index = loop.index0 -%}
    {%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
    {{- "<|im_start|>" + message.role + "\\n" -}}
    {%- set content = message.content -%}
    {%- if content is not string -%}{%- set content = content|tojson -%}{%- endif -%}
    {%- if message.role == "assistant" and not keep_past_thinking -%}
        {%- if loop.index0 != ns.last_assistant_index and "</think>" in content -%}
            {%- set content = content.split("</think>")[-1] | trim -%}
        {%- endif -%}
    {%- endif -%}
    {{- content + "<|im_end|>\\n" -}}
{%- endfor -%}
""" + TAIL  # fmt: skip
LFM25_CALLS = """{{- bos_token -}}
{%- set preserve_thinking = preserve_thinking | default(false) -%}

{%- macro written(value) -%}
    {%- if value is none -%}null
    {%- elif value is boolean -%}{{- 'True' if value else 'False' -}}
    {%- elif value is string -%}
        {{- "'" + (value | replace("\\\\", "\\\\\\\\") | replace("'", "\\\\'")) + "'" -}}
    {%- elif value is mapping or value is iterable -%}{{- value | tojson -}}
    {%- else -%}{{- value | string -}}
    {%- endif -%}
{%- endmacro -%}

{%- macro text_of(content) -%}
    {%- if content is string -%}
        {{- content -}}
    {%- elif content is mapping -%}
        {{- content | tojson -}}
    {%- elif content is iterable -%}
        {%- set _ns = namespace(text="") -%}
        {%- for part in content -%}
            {%- if part is string -%}
                {%- set _ns.text = _ns.text + part -%}
            {%- elif part.get("type") == "image" -%}
                {%- set _ns.text = _ns.text + "<image>" -%}
            {%- elif part["type"] == "text" -%}
                {%- set _ns.text = _ns.text + ((part.get("text") or "") | string) -%}
            {%- else -%}
                {%- set _ns.text = _ns.text + part | tojson -%}
            {%- endif -%}
        {%- endfor -%}
        {{- _ns.text -}}
    {%- endif -%}
{%- endmacro -%}

{%- macro calls(tool_calls) -%}
    {%- set done = namespace(calls=[]) -%}
    {%- for tool_call in tool_calls -%}
        {%- set func = tool_call["function"] if "function" in tool_call else tool_call -%}
        {%- set arguments = func.get("arguments") -%}
        {%- set args = namespace(list=[]) -%}
        {%- if arguments is mapping -%}
            {%- for name, value in arguments.items() -%}
                {%- set args.list = args.list + [name ~ "=" ~ written(value)] -%}
            {%- endfor -%}
        {%- elif arguments is string and (arguments | trim) not in ["", "{}", "null"] -%}
            {{- raise_exception("arguments of " ~ func.name ~ " are text") -}}
        {%- endif -%}
        {%- set done.calls = done.calls + [func["name"] + "(" + (args.list | join(", ")) + ")"] -%}
    {%- endfor -%}
    {{- "<|tool_call_start|>[" + (done.calls | join(", ")) + "]<|tool_call_end|>" -}}
{%- endmacro -%}

{%- set ns = namespace(system="", last_user=-1) -%}
{%- if messages and messages[0]["role"] == "system" -%}
    {%- if messages[0].get("content") -%}
        {%- set ns.system = text_of(messages[0]["content"]) -%}
    {%- endif -%}
    {%- set messages = messages[1:] -%}
{%- endif -%}
{%- if tools -%}
    {%- set ns.system = ns.system + ("\\n\\n" if ns.system else "") + "Today's date: "
        + strftime_now("%Y-%m-%d") + "\\n\\nList of tools: " + (tools | tojson) -%}
{%- endif -%}
{%- if ns.system -%}
    {{- "<|im_start|>system\\n" + ns.system + "<|im_end|>\\n" -}}
{%- endif -%}
{%- for message in messages -%}
    {%- if message["role"] == "user" -%}{%- set ns.last_user = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
    {{- "<|im_start|>" + message.role + "\\n" -}}
    {%- if message.role == "assistant" -%}
        {%- generation -%}
        {%- set keep = preserve_thinking or loop.index0 > ns.last_user -%}
        {%- set thinking = message.thinking or message.reasoning or message.reasoning_content -%}
        {%- set thinking = thinking if thinking is string else "" -%}
        {%- if thinking and keep -%}{{- "<think>" + thinking + "</think>" -}}{%- endif -%}
        {%- set _tag = "CONTINUE_FINAL_MESSAGE_TAG " -%}
        {%- set content = text_of(message.content) if message.content is defined else "" -%}
        {%- if not keep and "</think>" in content -%}
            {%- set content = content.split("</think>")[-1] | trim -%}
        {%- endif -%}
        {%- if content.endswith(_tag) -%}
            {{- content[:(content | length) - (_tag | length)] -}}{{- content[:-(_tag | length)] -}}
        {%- else -%}{{- content -}}{%- endif -%}
        {%- if message.tool_calls -%}{{- calls(message.tool_calls) -}}{%- endif -%}
        {{- "<|im_end|>\\n" -}}
        {%- endgeneration -%}
    {%- else %}
        {%- if message.get("content") -%}{{- text_of(message["content"]) -}}{%- endif -%}
        {{- "" if (continue_final_message and loop.last) else "<|im_end|>\\n" -}}
    {%- endif %}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- "<|im_start|>assistant\\n<think>" -}}
{%- endif -%}
"""
QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and
        not(message.content.startswith('<tool_response>') and
            message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n') %}
            {%- set reasoning = reasoning.split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query and (loop.last or (not loop.last and reasoning)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' }}
            {{- reasoning.strip('\\n') + '\\n</think>\\n\\n' }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' ~ tool_call.name ~ '", "arguments": ' }}
                {%- for args_name, args_value in tool_call.arguments|items %}
                    {%- set args_value = args_value | tojson | safe if args_value is mapping or
                        (args_value is sequence and args_value is not string)
                        else args_value | string %}
                    {{- args_name }}={{ args_value }}
                {%- endfor %}
                {{- tool_call.arguments | tojson if tool_call.arguments is not string else '' }}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
LLAMA = """{{- bos_token }}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- for t in tools or [] %}
    {{- t | tojson(indent=4) }}
    {{- "\\n\\n" }}
{%- endfor %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' +
            message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
SMOLLM = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}
{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}
{# reasoning #}
{%- set mode = "/no_think" if reasoning_mode is undefined else reasoning_mode -%}
{%- if messages[0].role == "system" and messages[0].content is string -%}
  {%- set custom = messages[0].content.replace("/no_think", "").replace("/think", "").rstrip() -%}
  {%- if "/system_override" in messages[0].content -%}
    {{- custom.replace("/system_override", "").rstrip() -}}
    {{- "<|im_end|>\\n" -}}
  {%- else -%}
    {{- "Reasoning Mode: " + mode + "\\n" + custom -}}
  {%- endif -%}
{%- endif -%}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
GEMMA = """{%- macro argument(value, quote=True) -%}
    {%- if value is string -%}
        {{- '<|"|>' + value + '<|"|>' if quote else value -}}
    {%- elif value is boolean -%}{{- 'true' if value else 'false' -}}
    {%- elif value is mapping -%}
        {{- '{' -}}
        {%- set ns = namespace(found=false) -%}
        {%- for key, inner in value | dictsort -%}
            {%- if ns.found %},{% endif -%}
            {%- set ns.found = true -%}
            {{- key -}}:{{- argument(inner, quote=quote) -}}
        {%- endfor -%}
        {{- '}' -}}
    {%- elif value is sequence -%}
        [{%- for item in value -%}
            {{- argument(item, quote) -}}
            {%- if not loop.last %},{% endif -%}
        {%- endfor -%}]
    {%- else -%}{{- value -}}
    {%- endif -%}
{%- endmacro -%}
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for tool in tools or [] -%}
    {%- set declared = tool.function or tool -%}
    {{- 'declaration:' -}}{{- declared['name'] -}}
    {{- argument(declared.parameters.properties | default({}), false) -}}
    {{- declared.parameters['type'] | upper | trim -}}
{%- endfor -%}
{%- for message in loop_messages -%}
    {%- if message['role'] == 'developer' and (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {%- for call in message.tool_calls -%}
        {{- call.name ~ argument((call.function or call).arguments) -}}
    {%- endfor -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
"""
OSS = """{%- macro typescript(spec, required, is_nullable=false) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] and spec['items']['type'] == "string" -%}
            {{- "string[]" }}
        {%- elif spec['items'] -%}
            {{- typescript(spec['items'], required) + "[]" }}
        {%- else -%}
            {{- "any[]" }}
        {%- endif -%}
    {%- elif spec.type is iterable and spec.type is not string and not spec.type is mapping -%}
        {{- spec.type | join(" | ") }}
    {%- elif spec.enum -%}
        {{- '"' + spec.enum|join('" | "') + '"' -}}
    {%- elif spec.type == "object" and spec.properties -%}
        {{- "{\\n" }}
        {%- for name, inner in spec.properties.items() -%}
            {{- name -}}
            {%- if name not in (spec.required or []) -%}{{- "?" }}{%- endif -%}
            {{- ": " }}{{ typescript(inner, spec.required or []) }}
            {%- if not loop.last -%}{{-", " }}{%- endif -%}
        {%- endfor -%}
        {{- "}" }}
    {%- else -%}
        {{- {"integer": "number", "boolean": "bool"}.get(spec.type, spec.type) }}
    {%- endif -%}
{%- endmacro -%}
{%- macro content_of(message) -%}
    {%- set parts = message.content if message.content is not string else [message.content] -%}
    {%- for part in parts -%}
        {%- if part is mapping and part.type == 'text' -%}{{ part.text }}
        {%- elif part is string -%}{{ part }}{%- else -%}{% continue %}{%- endif -%}
        {%- if loop.index > 8 -%}{% break %}{%- endif -%}
    {%- else -%}(nothing)
    {%- endfor -%}
{%- endmacro -%}
{%- if "content" in messages[0] and
    messages | selectattr('role', 'equalto', 'system') | list | length > 1 -%}
    {{- raise_exception("Only one system message") }}
{%- endif -%}
{%- set roles = messages | map(attribute='role') | unique | list -%}
<|start|>system<|message|>{{ roles | join(',') }} Knowledge {{ strftime_now("%B %d, %Y") -}}
{%- for tool in tools or [] if tool.function is defined %}
// {{ tool.function.description | default('none', true) | capitalize }}
type {{ tool.function.name }} = (_: {{ typescript(tool.function.parameters, []) }}) => any;
{%- endfor %}
{%- set last = namespace(name=none, count=0) %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and loop.nextitem and loop.nextitem.role == 'tool' -%}
        {%- set call = message.tool_calls[-1] if message.tool_calls -%}
        {%- set last.name = call.function.name if call else 'none' -%}
    {%- elif message.role == 'tool' and last.name is none -%}
        {{- raise_exception("Message has tool role, but there was no previous call") }}
    {%- endif -%}
    {%- set last.count = last.count + 1 %}
<|start|>{{ message.role | e }}{{ ' ' ~ loop.previtem.role if not loop.first }}<|message|>
{{- content_of(message) | indent(2) -}}
<|end|>{{ loop.cycle('a', 'b') }}{{ loop.revindex }}/{{ loop.length }}
{%- endfor %}
{%- filter trim %}
  <|start|>assistant  {%- endfilter %}
{%- macro framed(kind) -%}<{{ kind }}>{{ caller(kind|upper) }}{%- endmacro %}
{%- call(x) framed('y') %}{{ x }}{{ roles|length }}{% endcall %}
"""
MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set others = loop_messages | rejectattr("role", "in", ["user", "tool"]) | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or
                (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function or tool %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson(sort_keys=true) }}
                    {%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" if loop.last else "}}, " }}
            {%- endfor %}
            {{- "][/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- set first = system_message + "\\n\\n" if loop.last and system_message is defined %}
        {{- "[INST] " + (first or "") + message["content"] + "[/INST]" }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {{- ", " if not loop.last else "]" + eos_token }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] in ("tool_results", "tool") %}
        {%- set content = message.content %}
        {%- set content = content.content if content is mapping else content %}
        {{- '[TOOL_RESULTS] {"content": ' ~ content ~ ', "n": ' ~ ns.index ~ others|length ~ '}' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
"""
TEMPLATES = {
    "lfm2": LFM2,
    "lfm2.5": LFM25,
    "lfm2.5 with calls": LFM25_CALLS,
    "lfm2.5 that keeps": LFM25.replace("default(false)", "default(true)"),
    "qwen": QWEN,
    "llama": LLAMA,
    "smollm": SMOLLM,
    "gemma": GEMMA,
    "oss": OSS,
    "mistral": MISTRAL,
}
