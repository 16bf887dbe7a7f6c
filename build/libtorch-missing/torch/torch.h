// Found only when the real torch/torch.h is not. The include that cannot exist ends the compilation here: without it,
// thousands of lines about missing types would follow and hide the message.
#error "kopri: libtorch is missing. Run `make setup` once (it installs it into .libtorch), or set LIBTORCH to a folder that holds lib/ and include/ of torch 2.11.0."
#include "libtorch is missing: see above"
