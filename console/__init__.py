"""The console: pages on the operator's own machine over one deployment, for one browser. What is done to a deployment is
in ``operations``; here is only who may ask, what is shown, and how a stranger's email is kept from doing anything."""
