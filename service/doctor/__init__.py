"""The command `doctor`: will the service run well on this machine?"""
