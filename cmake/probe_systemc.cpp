// Links only when SC_CPLUSPLUS names the C++ standard that the SystemC library was built for.
#include <systemc>
int sc_main(int, char**) {
    return static_cast<int>(sc_core::sc_time_stamp().value());
}
