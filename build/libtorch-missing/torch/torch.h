// Found only when the real torch/torch.h is not.
#error "kopri: libtorch is missing. Run `make setup` once (it installs it into .libtorch), or set LIBTORCH to a folder that holds lib/ and include/ of torch 2.11.0."
